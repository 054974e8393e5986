"""The methods: each sends its command, and returns what the answer says."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message as Body

from imd.client.errors import ForbiddenError, RevokeTimeoutError
from imd.client.values import Member, Notice, Readers, Unread
from imd.wire import bodies
from imd.wire.commands import BODIES, Command
from imd.wire.enums import MsgStatus, Role, Status
from imd.wire.results import Result

from .parts import CHAT, ClientTestCase

BY_ITSELF = {
    Command.HEARTBEAT,
    Command.USER_LOGIN,
    Command.LIST_GROUP,
    Command.NOTICE_MSG_ACK,
    Command.IM_MSG_ACK,
    Command.OFFLINE_NOTICE_MSG,
}
"""What the client sends without being asked."""
ELSEWHERE = {Command.IM_SEND_MSG, Command.IM_OFFLINE_MSG, Command.USER_LOGOUT}
"""What has tests of its own."""


class CommandsTestCase(ClientTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.server.say(number=3)
        self.start()
        self.server.wait(1)
        self.server.asked.clear()

    def answers(self, command: Command, told: Body) -> None:
        """Let the server answer a command with this."""
        before: Callable[[Command, Any], Body | None] = self.server._answer
        self.server._answer = lambda asked, body: told if asked == command else before(asked, body)  # type: ignore[method-assign]

    def asks(self, asked: Any, command: Command, body: Body) -> Any:
        """Let a method be done, which has to have asked this; return what it gives."""
        result = self.result(asked)
        assert self.server.bodies(command) == [body]
        return result


class MethodsTests(CommandsTestCase):
    def test_every_command_has_one(self) -> None:
        client, tea = self.client, "g1"
        self.answers(
            Command.GROUP_CREATE, bodies.UserData(groups=[bodies.ImGroup(group_id=tea, group_type=2, max_seq=1)])
        )
        asked: list[Any] = [
            client.groups.create("Tea"),
            client.groups.find([tea]),
            client.groups.members(tea),
            client.conversations.mark_read(CHAT),
            client.conversations.readers(CHAT, 1),
            client.conversations.unread(),
            client.conversations.revoke(CHAT, "m"),
            client.conversations.delete(CHAT, [1]),
            client.conversations.clear(CHAT),
            client.conversations.configure(CHAT, is_top=True),
            client.presence.query([3]),
            client.presence.subscribe([3]),
            client.account.block([3]),
            client.account.unblock([3]),
            client.account.blocked(),
            client.account.clean_push_count(),
            client.account.kick(3),
            client.account.upstream("shop", b"x"),
        ]
        for change in (
            client.groups.update(tea, name="Coffee"),
            client.groups.invite(tea, [4]),
            client.groups.join(tea),
            client.groups.quit(tea),
            client.groups.dismiss(tea),
            client.groups.remove(tea, [4]),
            client.groups.mute(tea, 4, 0),
            client.groups.set_role(tea, 4, Role.ADMIN),
        ):
            change.addErrback(lambda _: None)  # this server doesn't tell of the group
        self.server.run()
        for each in asked:
            self.successResultOf(each)
        methods = {command for command, of in BODIES.items() if of.request is not None} - BY_ITSELF - ELSEWHERE
        assert {command for command, _ in self.server.asked} >= methods

    def test_a_refusal_is_an_exception_that_bears_its_name(self) -> None:
        self.server.refused[Command.REVOKE_MSG] = [Result.REVOKE_TIMEOUT]
        error = self.error(self.client.conversations.revoke(CHAT, "m"), RevokeTimeoutError)
        assert str(error) == "REVOKE_TIMEOUT it is"


class GroupsTests(CommandsTestCase):
    def test_making_one_returns_it_and_it_is_in_the_store(self) -> None:
        tea = bodies.ImGroup(group_id="g1", group_type=2, group_name="Tea", max_seq=1, role=1)
        self.answers(Command.GROUP_CREATE, bodies.UserData(groups=[tea]))
        made = self.result(self.client.groups.create("Tea", [3, 4], request_id="r"))
        assert (made.group_id, made.group_name, made.role) == ("g1", "Tea", Role.OWNER)
        request = bodies.GroupCreate(group_name="Tea", member_ids=[3, 4], request_id="r")
        assert self.server.bodies(Command.GROUP_CREATE) == [request]
        found = self.result(self.client.conversations.find("g1"))
        assert found is not None
        assert found.group_name == "Tea"

    def test_what_is_not_given_is_not_changed(self) -> None:
        tea = bodies.ImGroup(group_id="g1", group_type=2, max_seq=1)
        self.answers(Command.GROUP_UPDATE, bodies.UserData(groups=[tea]))
        request = bodies.GroupUpdate(group_id="g1", announcement="")
        self.asks(self.client.groups.update("g1", announcement=""), Command.GROUP_UPDATE, request)

    def test_joining_by_approval_says_that_it_is_asked(self) -> None:
        self.server.refused[Command.GROUP_JOIN] = [Result.FORBIDDEN]
        self.error(self.client.groups.join("g1", "please"), ForbiddenError)

    def test_all_pages_of_members_are_returned(self) -> None:
        pages = [
            bodies.UserData(members=[bodies.GroupMember(uid=3, role=1)], has_more=True, cursor="c"),
            bodies.UserData(members=[bodies.GroupMember(uid=4, role=3, name="Ann")]),
        ]
        before = self.server._answer
        self.server._answer = lambda command, body: (  # type: ignore[method-assign]
            pages.pop(0) if command == Command.GROUP_MEMBERS else before(command, body)
        )
        members = self.result(self.client.groups.members("g1"))
        assert members == [Member(3, 1, 0, 0, 0, ""), Member(4, 3, 0, 0, 0, "Ann")]

    def test_what_is_told_of_a_group_i_am_not_in_is_not_kept(self) -> None:
        self.server.groups["g1"] = []
        [found] = self.result(self.client.groups.find(["g1"]))
        assert found.group_id == "g1"
        assert self.result(self.client.conversations.find("g1")) is None


class ConversationsTests(CommandsTestCase):
    def test_the_list_has_those_on_top_first_then_the_newest(self) -> None:
        self.server.say("7_9", send_time=5_000)
        self.server.say("7_8", send_time=9_000)
        self.server.run()
        self.result(self.client.conversations.configure(CHAT, is_top=True))
        page = self.result(self.client.conversations.page())
        assert [conversation.group_id for conversation in page] == [CHAT, "7_8", "7_9"]
        assert [each.group_id for each in self.result(self.client.conversations.page(1, 1))] == ["7_8"]

    def test_marking_as_read_without_a_seq_reads_all_that_has_come(self) -> None:
        request = bodies.SubmitReadSeq(group_id=CHAT, read_seq=3)
        self.asks(self.client.conversations.mark_read(CHAT), Command.SUBMIT_READ_SEQ, request)
        found = self.result(self.client.conversations.find(CHAT))
        assert found is not None
        assert (found.read_seq, found.unread) == (3, 0)
        assert self.rows("SELECT DISTINCT status FROM x_message") == [(Status.READ,)]

    def test_what_i_delete_is_a_tombstone(self) -> None:
        request = bodies.DeleteMsg(group_id=CHAT, seq_ids=[2])
        self.asks(self.client.conversations.delete(CHAT, [2]), Command.DELETE_MSG, request)
        page = self.result(self.client.history(CHAT))
        assert [(each.msg_body, each.msg_status) for each in page][1] == ("", MsgStatus.DELETED)

    def test_what_i_clear_is_gone(self) -> None:
        request = bodies.SubmitInitSeq(group_id=CHAT, init_seq=2)
        self.asks(self.client.conversations.clear(CHAT, 2), Command.SUBMIT_INIT_SEQ, request)
        assert self.rows("SELECT seq_id FROM x_message") == [(3,)]

    def test_readers_and_unread_counts_are_values(self) -> None:
        self.answers(Command.LIST_MSG_READER, bodies.ListMsgReaderAck(readers=[3], unreaders=[4]))
        assert self.result(self.client.conversations.readers(CHAT, 1)) == Readers((3,), (4,))
        told = bodies.UnreadCountAck(total=2, groups=[bodies.ImGroup(group_id=CHAT, unread=2)])
        self.answers(Command.UNREAD_COUNT, told)
        assert self.result(self.client.conversations.unread()) == Unread(2, {CHAT: 2})


class PresenceTests(CommandsTestCase):
    def test_who_is_watched_is_so_after_a_reconnect_too(self) -> None:
        told: list[Any] = []
        self.client.on_presence(told.append)
        online = bodies.PresenceAck(users=[bodies.UserPresence(uid=3, client_types=[11])])
        self.answers(Command.PRESENCE_SUBSCRIBE, online)
        assert self.result(self.client.presence.subscribe([3])) == {3: (11,)}
        self.server.bodies(Command.PRESENCE_SUBSCRIBE)
        self.come_back()
        assert self.server.bodies(Command.PRESENCE_SUBSCRIBE) == [bodies.PresenceSubscribe(uids=[3])]
        self.server.send(Command.PRESENCE_NOTICE, bodies.PresenceNotice(users=[bodies.UserPresence(uid=3)]))
        assert told == [{3: (11,)}, {3: ()}]

    def test_who_is_watched_no_longer_is_not(self) -> None:
        self.result(self.client.presence.subscribe([3, 4]))
        self.result(self.client.presence.unsubscribe([3]))
        self.server.bodies(Command.PRESENCE_SUBSCRIBE)
        self.come_back()
        assert self.server.bodies(Command.PRESENCE_SUBSCRIBE) == [bodies.PresenceSubscribe(uids=[4])]
        self.result(self.client.presence.unsubscribe())
        self.come_back()
        assert self.server.bodies(Command.PRESENCE_SUBSCRIBE)[1:] == []


class NoticesTests(CommandsTestCase):
    def test_a_notice_is_shown_once_and_acked_each_time(self) -> None:
        shown: list[Notice] = []
        self.client.on_notice(shown.append)
        notice = bodies.NoticeMsg(notice_id="n", payload=b"x", sender="shop", send_time=5)
        for _ in range(2):
            self.server.send(Command.NOTICE_MSG, notice)
        self.server.run()
        assert shown == [Notice("n", 0, b"x", 5, "shop", 0)]
        assert self.server.bodies(Command.NOTICE_MSG_ACK) == [bodies.NoticeMsgAck(notice_ids=["n"])] * 2

    def test_those_that_were_missed_are_fetched_at_the_login(self) -> None:
        shown: list[Notice] = []
        self.client.on_notice(shown.append)
        page = bodies.UserData(notices=[bodies.NoticeMsg(notice_id=name) for name in ("a", "b")])
        self.answers(Command.OFFLINE_NOTICE_MSG, page)
        self.come_back()
        assert [notice.notice_id for notice in shown] == ["a", "b"]
        assert self.server.bodies(Command.NOTICE_MSG_ACK) == [bodies.NoticeMsgAck(notice_ids=["a", "b"])]
