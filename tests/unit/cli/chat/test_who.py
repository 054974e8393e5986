"""Who is here, and who has read what."""

from imd.wire.bodies import (
    GroupMember,
    GroupMembers,
    ImGroup,
    ListMsgReader,
    ListMsgReaderAck,
    PresenceAck,
    PresenceQuery,
    UserData,
    UserPresence,
)
from imd.wire.commands import Command
from imd.wire.results import Result

from .parts import ChatTestCase


def online(*uids: int) -> PresenceAck:
    return PresenceAck(users=[UserPresence(uid=uid, client_types=[23]) for uid in uids])


class WhoTests(ChatTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.come_online()
        self.shown()


class MembersTests(WhoTests):
    def setUp(self) -> None:
        super().setUp()
        self.open_group()

    def test_the_members_are_listed_with_role_presence_and_mute(self) -> None:
        self.reactor.advance(1)
        self.type("/who")
        members = [
            GroupMember(uid=3, role=1, name="Ann", mute_until=1000),
            GroupMember(uid=7, role=3, mute_until=60_000),
            GroupMember(uid=8, role=2),
        ]
        request = self.answer(Command.GROUP_MEMBERS, UserData(members=members))
        assert request == GroupMembers(group_id="g1", page_size=500)
        both = [UserPresence(uid=3, client_types=[10, 23]), UserPresence(uid=7, client_types=[99]), UserPresence(uid=8)]
        assert self.answer(Command.PRESENCE_QUERY, PresenceAck(users=both)) == PresenceQuery(uids=[3, 7, 8])
        assert self.shown() == [
            "uid  role    now                  muted until     name",
            "3    owner   online (iOS, Linux)                  Ann",
            "7    member  online               01-01 00:01:00",
            "8    admin   offline",
        ]

    def test_every_page_is_asked_for_and_presence_in_parts_of_500(self) -> None:
        self.type("/who")
        first = [GroupMember(uid=uid) for uid in range(1, 501)]
        self.answer(Command.GROUP_MEMBERS, UserData(members=first, cursor="c", has_more=True))
        page = self.answer(Command.GROUP_MEMBERS, UserData(members=[GroupMember(uid=501)]))
        assert page.cursor == "c"
        assert len(self.answer(Command.PRESENCE_QUERY, online(1)).uids) == 500
        assert self.answer(Command.PRESENCE_QUERY, online(501)).uids == [501]
        states = {line.split()[0]: line.split()[-2:] for line in self.shown()}
        assert states["1"] == states["501"] == ["online", "(Linux)"]
        assert states["2"][-1] == "offline"

    def test_without_presence_the_members_are_listed_all_the_same(self) -> None:
        self.type("/who")
        self.answer(Command.GROUP_MEMBERS, UserData(members=[GroupMember(uid=3, role=1)]))
        self.refuse(Command.PRESENCE_QUERY, Result.UNAVAILABLE, "try again")
        lines = self.shown()
        assert lines == [
            "Who is online can't be shown: try again.",
            "uid  role   now  muted until  name",
            "3    owner  ?",
        ]

    def test_a_stranger_is_told_why_there_is_no_list(self) -> None:
        self.type("/who")
        self.refuse(Command.GROUP_MEMBERS, Result.NOT_IN_GROUP, "you are not in the group g1")
        assert self.shown() == ["/who was refused: you are not in the group g1."]


class ReadersTests(WhoTests):
    def readers(self, readers: list[int], unreaders: list[int]) -> str:
        self.type("/who 12")
        request = self.answer(Command.LIST_MSG_READER, ListMsgReaderAck(readers=readers, unreaders=unreaders))
        assert request == ListMsgReader(group_id="3_7", seq_id=12)
        [line] = self.shown()
        return line

    def test_who_has_read_a_message_and_who_has_not(self) -> None:
        assert self.readers([3, 7], [8, 9, 10]) == "Message 12 was read by 2 of 5: 3, you; not yet by 8, 9, 10."

    def test_all_or_none(self) -> None:
        assert self.readers([3, 8], []) == "Message 12 was read by all 2: 3, 8."
        assert self.readers([], [3, 8]) == "Message 12 was read by none of 2 yet: 3, 8."
        assert self.readers([3], []) == "Message 12 was read by 3."
        assert self.readers([], [3]) == "Message 12 was not read by 3 yet."
        assert self.readers([], []) == "Message 12 is for nobody else."

    def test_a_message_that_is_not_there_is_told(self) -> None:
        self.type("/who 12")
        self.refuse(Command.LIST_MSG_READER, Result.NOT_FOUND, "there is no message 12")
        assert self.shown() == ["/who was refused: there is no message 12."]


class PeerTests(WhoTests):
    def test_the_other_one_of_a_single_chat_with_presence_and_marks(self) -> None:
        self.type("/who")
        assert self.answer(Command.PRESENCE_QUERY, online(3)) == PresenceQuery(uids=[3])
        view = ImGroup(group_id="3_7", peer_receive_seq=12, peer_read_seq=10)
        self.answer(Command.GROUP_BY_ID, UserData(groups=[view]))
        assert self.shown() == ["3 is online (Linux).", "3 has got everything up to 12, and read up to 10."]

    def test_one_whom_nothing_has_reached(self) -> None:
        self.type("/who")
        self.answer(Command.PRESENCE_QUERY, PresenceAck(users=[UserPresence(uid=3)]))
        self.answer(Command.GROUP_BY_ID, UserData())
        assert self.shown() == ["3 is offline."]
