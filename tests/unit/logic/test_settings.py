"""What a user sets: of a conversation, and whose single chats they refuse."""

from collections.abc import Collection
from typing import Any

from twisted.internet.defer import Deferred

from imd.errors import BadRequestError, ForbiddenError, NotFoundError, NotInGroupError, TooLargeError
from imd.gateway.sessions import Session
from imd.logic.settings import MAX_BLOCKED, Settings
from imd.model import Identity
from imd.wire.bodies import Block, ConversationSet, Empty, ImGroup, ListBlocked, ListBlockedAck, Unblock, UserData
from imd.wire.commands import Command

from .parts import LogicTestCase, parsed


class SettingsTestCase(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.blocks: list[tuple[int, list[int]]] = []
        self.settings = Settings(self.store, self.store, self.sessions, self.blocked)
        self.me, self.desktop, self.friend = self.login(1), self.login(1, 20), self.login(2)

    def blocked(self, uid: int, uids: Collection[int]) -> None:
        self.blocks.append((uid, list(uids)))

    def become_another(self, answer: Any) -> None:
        """Let the session be somebody else's before what was asked on it is durable."""
        self.store.is_slow = True
        waiting = Deferred.fromCoroutine(answer)
        self.me.log_out()
        self.me.log_in(2, 11, "again", Identity(2))
        self.store.settle()
        self.successResultOf(waiting)


class Conversations(SettingsTestCase):
    def set(self, group_id: str = "g", **settings: int) -> Any:
        return self.settings.set_conversation(self.me, ConversationSet(group_id=group_id, **settings))

    def notices(self, session: Session) -> list[UserData]:
        """Return what a session was told of its conversations."""
        packets = self.sent(session)
        assert {packet.command for packet in packets} <= {Command.CONVERSATION_NOTICE}
        return [parsed(packet, UserData) for packet in packets]

    def test_what_is_set_changes_and_the_rest_stays(self) -> None:
        self.wait(self.set(is_shield=1))
        self.wait(self.set(is_top=0))
        self.wait(self.set("system", is_shield=0, is_top=1))
        assert self.store.asked == [
            (1, "g", {"is_shield": 1}),
            (1, "g", {"is_top": 0}),
            (1, "system", {"is_shield": 0, "is_top": 1}),
        ]

    def test_my_other_devices_learn_it_and_nobody_else_does(self) -> None:
        self.store.answer = UserData(groups=[ImGroup(group_id="g", is_top=1)])
        assert self.wait(self.set(is_top=1)) == Empty()
        assert self.notices(self.desktop) == [self.store.answer]
        assert self.notices(self.me) == []
        assert self.notices(self.friend) == []

    def test_where_nothing_changed_nobody_is_told(self) -> None:
        self.store.answer = None
        assert self.wait(self.set(is_top=1)) == Empty()
        assert self.notices(self.desktop) == []

    def test_it_is_told_to_the_devices_of_who_asked(self) -> None:
        self.become_another(self.set(is_top=1))
        assert len(self.notices(self.desktop)) == 1
        assert self.notices(self.friend) == []

    def test_what_makes_no_sense_is_a_bad_request(self) -> None:
        for settings in ({}, {"is_top": 2}, {"is_shield": -1}, {"is_top": 1, "is_shield": 2}):
            self.refused(self.set(**settings), BadRequestError)
        self.refused(self.set("", is_top=1), BadRequestError)
        assert self.store.asked == []

    def test_a_single_chat_in_which_nothing_was_said_is_not_there(self) -> None:
        self.store.answer = NotInGroupError("nothing there")
        self.refused(self.set("1_2", is_top=1), NotFoundError)

    def test_a_group_that_i_never_was_in_is_refused(self) -> None:
        self.store.answer = NotInGroupError("you are not in g")
        self.refused(self.set(is_top=1), NotInGroupError)

    def test_a_single_chat_of_others_is_forbidden(self) -> None:
        self.refused(self.set("2_3", is_top=1), ForbiddenError)
        assert self.store.asked == []


class Blocking(SettingsTestCase):
    def block(self, *uids: int) -> Any:
        return self.settings.block(self.me, Block(uids=uids))

    def unblock(self, *uids: int) -> Any:
        return self.settings.unblock(self.me, Unblock(uids=uids))

    def test_the_store_gets_each_once_with_the_limit_of_the_list(self) -> None:
        assert self.wait(self.block(3, 2, 3)) == Empty()
        assert self.store.asked == [(1, [3, 2], MAX_BLOCKED)]

    def test_who_watches_is_told_once_it_is_durable(self) -> None:
        self.store.is_slow = True
        waiting = Deferred.fromCoroutine(self.block(2, 3))
        assert self.blocks == []
        self.store.settle()
        self.successResultOf(waiting)
        assert self.blocks == [(1, [2, 3])]

    def test_it_is_the_list_of_who_asked(self) -> None:
        self.become_another(self.block(3))
        assert self.blocks == [(1, [3])]

    def test_a_list_that_would_be_too_long_is_too_large_and_blocks_nobody(self) -> None:
        self.wait(self.block(*range(2, MAX_BLOCKED + 2)))
        self.blocks.clear()
        self.refused(self.block(*range(2, MAX_BLOCKED + 3)), TooLargeError)
        self.store.answer = TooLargeError("a block list holds at most 1000 users")
        self.refused(self.block(2), TooLargeError)
        assert self.blocks == []

    def test_oneself_and_what_is_no_uid_are_bad_requests(self) -> None:
        for uids in ((), (1,), (2, 1), (0,), (2, -1)):
            self.refused(self.block(*uids), BadRequestError)
        assert self.store.asked == []
        assert self.blocks == []

    def test_who_is_unblocked_goes_to_the_store_and_nobody_is_told(self) -> None:
        assert self.wait(self.unblock(3, 2, 3)) == Empty()
        assert self.store.asked == [(1, [3, 2])]
        assert self.blocks == []

    def test_so_many_can_be_unblocked_at_once_and_no_more(self) -> None:
        self.wait(self.unblock(*range(2, MAX_BLOCKED + 2)))
        self.store.asked.clear()
        self.refused(self.unblock(*range(2, MAX_BLOCKED + 3)), BadRequestError)
        self.refused(self.unblock(), BadRequestError)
        self.refused(self.unblock(0), BadRequestError)
        assert self.store.asked == []

    def test_the_list_is_the_stores(self) -> None:
        self.store.blocks = {1: [2, 3], 2: [7]}
        assert self.wait(self.settings.list_blocked(self.me, ListBlocked())) == ListBlockedAck(uids=[2, 3])
