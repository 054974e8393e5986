"""Control messages as sentences."""

from datetime import UTC

from twisted.trial.unittest import SynchronousTestCase

from imd.cli.chat.control import control_in, sentence


def said(body: str) -> str:
    return sentence(control_in(body), 7, UTC)


class ControlTests(SynchronousTestCase):
    def test_each_op_has_a_sentence(self) -> None:
        for body, expected in {
            '{"op": "create", "by": 1, "uids": [1, 2, 7]}': "1 made the group with 2, you",
            '{"op": "create", "by": 7, "uids": [7]}': "you made the group with nobody else",
            '{"op":"update", "by":1, "value":"extra join_policy"}': "1 changed the details and the rule for joining",
            '{"op": "update", "by": 1, "value": ""}': "1 changed the group",
            '{"op": "invite", "by": 7, "uids": [9]}': "you invited 9",
            '{"op": "join", "by": 9, "uids": [9]}': "9 joined",
            '{"op": "quit", "by": 9, "uids": [9]}': "9 left",
            '{"op": "quit", "by": 9, "uids": [9], "value": "3"}': "9 left; 3 owns the group now",
            '{"op": "quit", "by": 9, "uids": [9], "value": "7"}': "9 left; you own the group now",
            '{"op": "remove", "by": 1, "uids": [7, 9]}': "1 removed you, 9",
            '{"op": "mute", "by": 1, "uids": [3], "value": "60000"}': "1 muted 3 until 01-01 00:01:00",
            '{"op": "mute", "by": 1, "uids": [7], "value": "0"}': "1 let you speak again",
            '{"op": "mute", "by": 1, "uids": [], "value": "60000"}': "1 muted everybody until 01-01 00:01:00",
            '{"op": "mute", "by": 1, "uids": [], "value": "0"}': "1 let everybody speak again",
            '{"op": "role", "by": 1, "uids": [3], "value": "1"}': "1 handed the group over to 3",
            '{"op": "role", "by": 1, "uids": [7], "value": "2"}': "1 made you an admin",
            '{"op": "role", "by": 1, "uids": [3], "value": "3"}': "1 made 3 a plain member",
            '{"op": "role", "by": 1, "uids": [3], "value": "9"}': "1 changed the role of 3",
            '{"op": "dismiss", "by": 1}': "1 dismissed the group",
            '{"op": "revoke", "by": 3, "uids": [3], "msg_id": "x", "seq_id": 4}': "3 took back message 4",
            '{"op": "revoke", "by": 1, "uids": [3], "seq_id": 4}': "1 took back message 4, which 3 wrote",
        }.items():
            assert said(body) == expected

    def test_an_op_that_is_not_known_is_named(self) -> None:
        assert said('{"op": "paint", "by": 3, "colour": "red"}') == "3: paint"

    def test_one_that_can_not_be_read_is_told_all_the_same(self) -> None:
        for body in ('{"op": "create", "by": 1, "uids": [1, 2', "[]", '{"op": 1}', ""):
            assert said(body) == "the group has changed"

    def test_a_number_that_is_none_or_too_large_breaks_nothing(self) -> None:
        for value in ("x", "-1", "٣", "9" * 30, str(2**62)):
            assert said(f'{{"op": "mute", "by": 1, "uids": [3], "value": "{value}"}}')
            assert said(f'{{"op": "quit", "by": 1, "value": "{value}"}}')
