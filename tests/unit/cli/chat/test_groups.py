"""The commands for conversations."""

from imd.cli.chat.program import RECONNECT_SECONDS
from imd.wire.bodies import GroupCreate, GroupMute, ImGroup, ListGroup, PullMsg, UserData
from imd.wire.commands import Command

from .parts import ChatTestCase, control, message


class GroupsTests(ChatTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.come_online()
        self.shown()

    def test_new_makes_a_group_and_goes_there(self) -> None:
        self.type("/new Team 8 9", "hello")
        request = self.answer(Command.GROUP_CREATE, UserData(groups=[ImGroup(group_id="g1")]))
        assert request == GroupCreate(group_name="Team", member_ids=[8, 9], request_id=request.request_id)
        self.show()
        assert self.shown()[:2] == [
            "The group g1 is made; the others type: imctl chat UID --group g1",
            "7 in the group g1; /help tells more.",
        ]
        _, sent = self.request(Command.IM_SEND_MSG)
        assert (sent.group_id, sent.receiver_id) == ("g1", 0)

    def test_a_group_whose_making_was_cut_off_is_asked_for_under_its_id(self) -> None:
        self.type("/new Team 8")
        _, first = self.request(Command.GROUP_CREATE)
        self.lose()
        self.reactor.advance(RECONNECT_SECONDS)
        self.come_online()
        _, second = self.request(Command.GROUP_CREATE)
        assert first == second
        assert first.request_id

    def test_open_shows_the_conversation_from_its_last_messages(self) -> None:
        self.type("/open 7_9")
        pulls = self.show([message(1, group_id="7_9")])
        assert pulls == [PullMsg(group_id="7_9", before_seq_id=2, page_size=1)]
        assert self.shown() == ["7 in a chat with 9; /help tells more.", "   1  01-01 00:00  3: text 1"]

    def test_open_says_what_one_should_know_of_a_group(self) -> None:
        self.type("/open g1")
        team = ImGroup(group_id="g1", group_type=2, group_name="Team", member_count=3, mute_all=1, announcement="Hi!")
        self.show([message(1, group_id="g1")], group=team)
        assert self.shown() == [
            "7 in the group g1; /help tells more.",
            "Team, 3 members; only the owner and the admins may speak now",
            "!! Announcement: Hi!",
            "   1  01-01 00:00  3: text 1",
        ]

    def test_open_goes_to_the_broadcasts(self) -> None:
        self.type("/open system")
        self.show([message(1, 1, "system", group_type=3)], group=ImGroup(group_id="system", group_type=3))
        assert self.shown() == [
            "7 in the broadcasts; /help tells more.",
            "   1  01-01 00:00  !! broadcast by 1: text 1",
        ]

    def test_groups_asks_for_every_page(self) -> None:
        self.type("/groups")
        first = self.answer(Command.LIST_GROUP, UserData(groups=[ImGroup(group_id="a")], cursor="c", has_more=True))
        second = self.answer(Command.LIST_GROUP, UserData(groups=[ImGroup(group_id="b")]))
        assert (first, second) == (ListGroup(), ListGroup(cursor="c"))
        assert [line.split()[0] for line in self.shown()] == ["id", "a", "b"]

    def test_invite_join_and_quit_ask_the_daemon(self) -> None:
        self.type("/invite 8 9", "/join g2 let me in", "/quit")
        assert self.answer(Command.GROUP_INVITE, UserData()).member_ids == [8, 9]
        join = self.answer(Command.GROUP_JOIN, UserData())
        assert (join.group_id, join.message) == ("g2", "let me in")
        self.show()
        assert self.answer(Command.GROUP_QUIT, UserData()).group_id == "g2"


class MuteTests(ChatTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.come_online()
        self.open_group(control(4, '{"op": "join", "by": 3, "uids": [3]}'))
        self.reactor.advance(5)
        self.asked()

    def test_mute_names_the_time_until_which_one_or_all_can_not_speak(self) -> None:
        for line, request in {
            "/mute 3 60": GroupMute(group_id="g1", uid=3, until=65_000),
            "/mute 3 off": GroupMute(group_id="g1", uid=3),
            "/mute all 10": GroupMute(group_id="g1", until=15_000),
            "/mute all off": GroupMute(group_id="g1"),
        }.items():
            self.type(line)
            assert self.answer(Command.GROUP_MUTE, UserData()) == request

    def test_the_control_message_tells_of_a_mute(self) -> None:
        self.type("/mute 3 60")
        self.push(control(5, '{"op": "mute", "by": 7, "uids": [3], "value": "65000"}', by=7))
        self.answer(Command.GROUP_MUTE, UserData(groups=[ImGroup(group_id="g1", max_seq=5)]))
        assert self.shown() == ["   5  01-01 00:00  — you muted 3 until 01-01 00:01:05"]

    def test_what_is_so_already_is_told(self) -> None:
        for line, command in {"/mute 3 off": Command.GROUP_MUTE, "/invite 3": Command.GROUP_INVITE}.items():
            self.type(line)
            self.answer(command, UserData(groups=[ImGroup(group_id="g1", max_seq=4)]))
            assert self.shown() == ["That is so already."]

    def test_what_was_written_meanwhile_is_no_change(self) -> None:
        self.write("hi", 5, "g1")
        self.type("/mute 3 off")
        self.answer(Command.GROUP_MUTE, UserData(groups=[ImGroup(group_id="g1", max_seq=5)]))
        assert self.shown() == ["That is so already."]
