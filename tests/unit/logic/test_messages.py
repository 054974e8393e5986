"""What a client may send, and where it goes (rule 1)."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imd.errors import BadRequestError, ForbiddenError, TooLargeError
from imd.logic.messages import MAX_AT_UIDS, address, check_message, check_place, check_texts
from imd.wire.bodies import ImMsg
from imd.wire.enums import GroupType, MsgType
from imd.wire.packet import MAX_MESSAGE

GROUP = "g5f1c0a9be3d27468a1b2c3d4"


def text(**fields: Any) -> ImMsg:
    """Return a message as a client sends it."""
    return ImMsg(**{"msg_id": "m1", "msg_type": 1, "msg_body": "hi", **fields})


class Content(SynchronousTestCase):
    def test_what_a_client_gives_stays(self) -> None:
        given = text(
            receiver_id=2,
            group_id="1_2",
            sender_name="Ann",
            sender_remark="r",
            extra="e",
            attach_id=5,
            attach_type=6,
            attach_name="n",
            attach_url="u",
            attach_size=7,
            whether_non_count=1,
            at_uids=[0, 3],
        )
        message = ImMsg()
        message.CopyFrom(given)
        check_message(message)
        assert message == given

    def test_what_only_the_server_fills_is_cleared(self) -> None:
        message = text(sender_id=9, seq_id=9, send_time=9, status=9, msg_status=2, group_name="x")
        check_message(message)
        assert message == text()

    def test_fields_of_a_later_release_are_dropped(self) -> None:
        later = ImMsg.FromString(text().SerializeToString() + b"\xfa\x3f\x01x")
        check_message(later)
        assert later.SerializeToString() == text().SerializeToString()

    def test_a_text_may_be_empty(self) -> None:
        check_message(text(msg_body=""))

    def test_a_text_of_64_kib_fits(self) -> None:
        check_message(text(receiver_id=2, msg_body="x" * 65_536))

    def test_a_message_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(self) -> None:
        room = MAX_MESSAGE - text(msg_body="x" * 60_000).ByteSize() + 60_000
        check_message(text(msg_body="x" * room))
        with self.assertRaises(TooLargeError):
            check_message(text(msg_body="x" * (room + 1)))

    def test_a_msg_id_has_1_to_64_characters(self) -> None:
        check_message(text(msg_id="é" * 64))
        for msg_id in ("", "x" * 65):
            with self.assertRaisesRegex(BadRequestError, "msg_id is empty or longer than 64 characters"):
                check_message(text(msg_id=msg_id))

    def test_a_msg_type_is_1_or_more_and_may_be_one_of_a_later_release(self) -> None:
        for msg_type in (1, 8, 98, 99, 101, 2**31 - 1):
            check_message(text(msg_type=msg_type))
        for msg_type in (0, -1):
            with self.assertRaises(BadRequestError):
                check_message(text(msg_type=msg_type))

    def test_a_control_message_is_forbidden_to_clients(self) -> None:
        with self.assertRaises(ForbiddenError):
            check_message(text(msg_type=MsgType.CONTROL))

    def test_so_many_users_can_be_mentioned_and_no_more(self) -> None:
        check_message(text(at_uids=range(MAX_AT_UIDS)))
        with self.assertRaisesRegex(BadRequestError, "more than 500 uids"):
            check_message(text(at_uids=range(MAX_AT_UIDS + 1)))

    def test_nobody_with_a_negative_uid_can_be_mentioned(self) -> None:
        with self.assertRaises(BadRequestError):
            check_message(text(at_uids=[3, -1]))

    def test_no_text_holds_a_nul_character(self) -> None:
        for name in ("msg_id", "msg_body", "sender_name", "sender_remark", "extra", "attach_name", "attach_url"):
            with self.assertRaisesRegex(BadRequestError, f"^{name} holds a NUL character$"):
                check_texts(text(**{name: "a\0b"}))
        check_texts(text(at_uids=[0]))


class Addressing(SynchronousTestCase):
    def address(self, uid: int = 1, **fields: Any) -> tuple[str, int, int]:
        """Return where a message goes."""
        message = text(**fields)
        address(message, uid, is_admin=False)
        return message.group_id, message.group_type, message.receiver_id

    def test_the_receiver_alone_is_enough_for_a_single_chat(self) -> None:
        assert self.address(receiver_id=2) == ("1_2", GroupType.SINGLE, 2)
        assert self.address(30, receiver_id=2) == ("2_30", GroupType.SINGLE, 2)

    def test_the_group_id_alone_is_enough_too(self) -> None:
        assert self.address(group_id="1_2") == ("1_2", GroupType.SINGLE, 2)
        assert self.address(2, group_id="1_2") == ("1_2", GroupType.SINGLE, 1)
        assert self.address(group_id="1_2", group_type=1, receiver_id=2) == ("1_2", GroupType.SINGLE, 2)

    def test_the_largest_uid_can_be_written_to(self) -> None:
        assert self.address(receiver_id=2**63 - 1) == (f"1_{2**63 - 1}", GroupType.SINGLE, 2**63 - 1)

    def test_one_can_write_to_oneself(self) -> None:
        assert self.address(receiver_id=1) == ("1_1", GroupType.SINGLE, 1)
        assert self.address(group_id="1_1") == ("1_1", GroupType.SINGLE, 1)

    def test_a_group_is_a_group(self) -> None:
        assert self.address(group_id=GROUP) == (GROUP, GroupType.GROUP, 0)
        assert self.address(group_id=GROUP, group_type=2, receiver_id=5) == (GROUP, GroupType.GROUP, 0)

    def test_a_single_chat_that_does_not_contain_the_sender_is_forbidden(self) -> None:
        with self.assertRaisesRegex(ForbiddenError, "^the single chat 2_3 is not yours$"):
            self.address(group_id="2_3")

    def test_what_goes_nowhere_or_contradicts_itself_is_a_bad_request(self) -> None:
        for fields in (
            {},
            {"receiver_id": -1},
            {"group_type": 2},
            {"group_type": 2, "receiver_id": 2},
            {"group_id": "1_2", "receiver_id": 3},
            {"group_id": "1_2", "receiver_id": 1},
            {"group_id": "1_2", "group_type": 2},
            {"group_id": GROUP, "group_type": 1},
            {"group_id": GROUP, "group_type": 4},
            {"group_id": "2_1"},
            {"group_id": "1_02"},
            {"group_id": "1_2_3"},
            {"group_id": "x" * 65},
        ):
            with self.assertRaises(BadRequestError):
                self.address(**fields)


class Broadcasts(SynchronousTestCase):
    named: tuple[dict[str, Any], ...] = (
        {"group_id": "system"},
        {"group_type": 3},
        {"group_id": "system", "group_type": 3},
        {"group_type": 3, "receiver_id": 2},
    )

    def test_an_admin_names_the_stream_by_its_id_or_by_its_type(self) -> None:
        for fields in self.named:
            message = text(**fields)
            address(message, 1, is_admin=True)
            assert message == text(group_id="system", group_type=GroupType.SYSTEM)

    def test_it_is_forbidden_to_others_however_it_is_named(self) -> None:
        for fields in (*self.named, {"group_type": 3, "group_id": GROUP}, {"group_type": 3, "group_id": "1_2"}):
            with self.assertRaises(ForbiddenError):
                address(text(**fields), 1, is_admin=False)

    def test_an_id_and_a_type_that_contradict_each_other_are_a_bad_request(self) -> None:
        for fields in (
            {"group_id": "system", "group_type": 1},
            {"group_id": "system", "group_type": 2},
            {"group_id": "system", "group_type": 4},
            {"group_id": GROUP, "group_type": 3},
            {"group_id": "1_2", "group_type": 3},
        ):
            with self.assertRaises(BadRequestError):
                address(text(**fields), 1, is_admin=True)


class Places(SynchronousTestCase):
    def test_an_announcement_is_for_groups_alone(self) -> None:
        check_place(text(msg_type=MsgType.ANNOUNCEMENT, group_type=GroupType.GROUP))
        for group_type in (GroupType.SINGLE, GroupType.SYSTEM):
            with self.assertRaises(BadRequestError):
                check_place(text(msg_type=MsgType.ANNOUNCEMENT, group_type=group_type))

    def test_what_is_passed_through_is_no_broadcast(self) -> None:
        for group_type in (GroupType.SINGLE, GroupType.GROUP):
            check_place(text(msg_type=MsgType.PASSTHROUGH, group_type=group_type))
        with self.assertRaises(BadRequestError):
            check_place(text(msg_type=MsgType.PASSTHROUGH, group_type=GroupType.SYSTEM))

    def test_any_other_message_goes_anywhere(self) -> None:
        for group_type in GroupType:
            check_place(text(group_type=group_type))
