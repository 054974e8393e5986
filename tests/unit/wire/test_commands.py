"""Commands, their bodies, and results."""

from google.protobuf.message import DecodeError
from twisted.trial.unittest import SynchronousTestCase

from imd.wire import bodies
from imd.wire._pb import imd_pb2
from imd.wire.bodies import Empty
from imd.wire.commands import BODIES, Bodies, Command
from imd.wire.results import Result


class CommandBodies(SynchronousTestCase):
    def test_every_command_has_its_bodies(self) -> None:
        self.assertEqual(list(BODIES), list(Command))
        self.assertNotIn(Bodies(None, None, None), BODIES.values())

    def test_every_code_fits_the_header(self) -> None:
        for command in Command:
            self.assertIn(command, range(1, 2**16))

    def test_nothing_is_answered_that_is_not_asked(self) -> None:
        for command, (request, answer, _) in BODIES.items():
            self.assertFalse(request is None and answer is not None, command)

    def test_every_message_is_reachable_under_its_name(self) -> None:
        generated = set(imd_pb2.DESCRIPTOR.message_types_by_name)
        self.assertEqual(set(bodies.__all__), generated | {"Empty"})
        for name in generated:
            self.assertIs(getattr(bodies, name), getattr(imd_pb2, name))

    def test_an_empty_answer_has_no_bytes(self) -> None:
        self.assertEqual(Empty().SerializeToString(), b"")

    def test_text_that_is_not_utf8_does_not_parse(self) -> None:
        body = bodies.ImMsg(msg_body="abc").SerializeToString().replace(b"abc", b"a\xffc")
        self.assertRaises(DecodeError, bodies.ImMsg.FromString, body)

    def test_fields_of_a_later_release_do_no_harm(self) -> None:
        later = bodies.Heartbeat.FromString(bodies.UserLogin(uid=1, token="t").SerializeToString())
        self.assertEqual(list(later.ListFields()), [])


class Results(SynchronousTestCase):
    def test_the_results_are_those_of_the_proto(self) -> None:
        self.assertEqual({result.name: result.value for result in Result}, dict(imd_pb2.Result.items()))
