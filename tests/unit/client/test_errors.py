"""Each result has an exception that bears its name."""

from twisted.trial.unittest import SynchronousTestCase

from imd.client.errors import BY_RESULT, MutedError, ResultError, refusal
from imd.wire.results import Result


class ErrorsTests(SynchronousTestCase):
    def test_every_result_but_ok_has_its_own(self) -> None:
        assert set(BY_RESULT) == set(Result) - {Result.OK}
        for result, kind in BY_RESULT.items():
            name = Result(result).name.title().replace("_", "")
            assert kind.__name__ == f"{name}Error"
            assert (kind.__doc__ or "").startswith(f"{Result(result).name}: ")

    def test_it_says_what_the_server_said(self) -> None:
        error = refusal(Result.MUTED, "you are muted")
        assert isinstance(error, MutedError)
        assert (str(error), error.result, error.reason) == ("you are muted", Result.MUTED, "you are muted")

    def test_a_later_servers_result_is_a_result_all_the_same(self) -> None:
        assert type(refusal(99, "")) is ResultError
        assert str(refusal(99, "")) == "the server answered with result 99"
