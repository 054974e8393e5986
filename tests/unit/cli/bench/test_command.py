"""`imctl bench` as it is called."""

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from imd.cli.main import main

from ...paths import new_path


class CommandTests(SynchronousTestCase):
    def test_without_a_daemon_one_sentence_says_how_to_start_it(self) -> None:
        works = ("pairs", "group", "idle", "login", "drain", "list", "broadcast", "fill")
        for work in ([], *([name] for name in works)):
            folder = new_path(self)
            result = CliRunner().invoke(main, ["bench", *work, "--data", folder])
            assert result.exit_code == 1
            assert result.output == (
                f"Error: No daemon runs on {folder}: start one with `twistd -n imd --data {folder}`.\n"
            )

    def test_a_cluster_is_started_and_not_named(self) -> None:
        result = CliRunner().invoke(main, ["bench", "--cluster", "--server", "tcp:127.0.0.1:7650"])
        assert result.exit_code == 2
        assert "there is no --server to name" in result.output

    def test_what_is_configured_is_for_a_cluster(self) -> None:
        result = CliRunner().invoke(main, ["bench", "pairs", "--as-configured"])
        assert result.exit_code == 2
        assert "--as-configured belongs to --cluster" in result.output

    def test_one_sentence_says_what_two_nodes_share(self) -> None:
        result = CliRunner().invoke(main, ["bench", "--cluster", "--as-configured", "--data", new_path(self)])
        assert result.exit_code == 1
        assert result.output == (
            "Error: Two nodes share a PostgreSQL and a Redis: name both by [storage] url and [presence] url.\n"
        )

    def test_no_more_conversations_change_than_there_are(self) -> None:
        result = CliRunner().invoke(main, ["bench", "list", "--conversations", "5", "--changed", "6"])
        assert result.exit_code == 2
        assert "6 of 5 conversations can't change" in result.output

    def test_options_before_the_command_are_refused(self) -> None:
        result = CliRunner().invoke(main, ["bench", "--seconds", "3", "pairs"])
        assert result.exit_code == 2
        assert "Options come after the command: imctl bench pairs" in result.output
