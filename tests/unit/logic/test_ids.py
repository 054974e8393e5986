"""Uids and group ids."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imd.errors import BadRequestError, ForbiddenError
from imd.logic.ids import MAX_UID, check_group_id, check_uid, single_members
from imd.wire.single import single_group_id

uids = st.integers(1, MAX_UID)


class Uids(SynchronousTestCase):
    def test_a_uid_is_from_1_to_the_largest_int64(self) -> None:
        for uid in (1, 2, MAX_UID):
            assert check_uid(uid) == uid
        for uid in (0, -1, -MAX_UID, MAX_UID + 1):
            with self.assertRaisesRegex(BadRequestError, rf"receiver_id is {uid}; expected 1 to 2\^63-1"):
                check_uid(uid, "receiver_id")


class SingleChats(SynchronousTestCase):
    @given(uids, uids)
    def test_the_id_is_the_same_from_both_sides_and_names_both(self, a: int, b: int) -> None:
        group_id = single_group_id(a, b)
        assert group_id == single_group_id(b, a) == f"{min(a, b)}_{max(a, b)}"
        assert single_members(group_id) == (min(a, b), max(a, b))

    def test_one_can_chat_with_oneself(self) -> None:
        assert single_members("5_5") == (5, 5)

    def test_what_has_no_underscore_is_a_group(self) -> None:
        for group_id in ("g5f1c0a9be3d27468a1b2c3d4", "system", "7", ""):
            assert single_members(group_id) is None

    def test_what_looks_like_a_single_chat_and_is_none_is_a_bad_request(self) -> None:
        for group_id in (
            "2_1",
            "0_5",
            "01_2",
            "1_02",
            "1_",
            "_2",
            "_",
            "1_2_3",
            "-1_2",
            "+1_2",
            " 1_2",
            "1_2\n",
            "a_b",
            "g_x",
            "²_3",
            "\u0661_\u0662",
            f"1_{MAX_UID + 1}",
            "1_" + "9" * 5000,
        ):
            with self.assertRaises(BadRequestError):
                single_members(group_id)

    def test_a_group_id_is_bounded(self) -> None:
        single_members("g" * 64)
        with self.assertRaises(BadRequestError):
            single_members("g" * 65)

    @given(st.text(max_size=80))
    def test_any_text_is_a_single_chat_or_a_group_or_a_bad_request(self, text: str) -> None:
        try:
            pair = single_members(text)
        except BadRequestError:
            return
        assert pair is None or single_group_id(*pair) == text


class Conversations(SynchronousTestCase):
    def test_a_group_and_a_single_chat_of_mine_are_what_they_are(self) -> None:
        for group_id in ("g5f1c0a9be3d27468a1b2c3d4", "1_2", "1_1"):
            assert check_group_id(group_id, 1) == group_id
        assert check_group_id("1_2", 2) == "1_2"

    def test_a_single_chat_of_others_is_forbidden(self) -> None:
        with self.assertRaisesRegex(ForbiddenError, "^the single chat 2_3 is not yours$"):
            check_group_id("2_3", 1)

    def test_what_is_no_group_id_is_a_bad_request(self) -> None:
        for group_id in ("", "2_1", "1_", "g" * 65):
            with self.assertRaises(BadRequestError):
                check_group_id(group_id, 1)

    def test_the_broadcast_stream_is_everybodys_but_not_for_everything(self) -> None:
        assert check_group_id("system", 1) == "system"
        with self.assertRaises(ForbiddenError):
            check_group_id("system", 1, no_system=True)
        assert check_group_id("g", 1, no_system=True) == "g"
