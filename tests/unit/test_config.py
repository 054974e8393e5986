"""The configuration: where each value comes from, and what is said of a wrong one."""

import tempfile
from pathlib import Path

import pytest
from twisted.trial.unittest import SynchronousTestCase

from imd.config import Config, load
from imd.errors import ConfigError


class ConfigTestCase(SynchronousTestCase):
    def file(self, text: str | bytes) -> Path:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        file = Path(folder.name, "imd.toml")
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def complaint(self, text: str | bytes | None = None, **environ: str) -> str:
        """Return what is said of a file with ``text`` and these variables, with FILE for the file's name."""
        file = None if text is None else self.file(text)
        with pytest.raises(ConfigError) as caught:
            load(file, {}, environ)
        return str(caught.value).replace(str(file), "FILE")


class PrecedenceTests(ConfigTestCase):
    def test_nothing_set_gives_the_defaults(self) -> None:
        assert load(None, {}, {}) == Config()

    def test_the_file_wins_over_the_default(self) -> None:
        config = load(self.file("[server]\nnode = 'two'\n[groups]\ncached = 7"), {}, {})
        assert (config.server.node, config.groups.cached) == ("two", 7)

    def test_a_variable_wins_over_the_file(self) -> None:
        file = self.file("[server]\ndata = 'file'\n[gateway]\nlogin_seconds = 4")
        config = load(file, {}, {"IMD_DATA": "variable", "IMD_GATEWAY_LOGIN_SECONDS": "0.5", "PATH": "/bin"})
        assert (config.server.data, config.gateway.login_seconds) == ("variable", 0.5)

    def test_an_override_wins_over_a_variable(self) -> None:
        overrides = {"server.data": "option", "server.listen": ["tcp:1"]}
        config = load(None, overrides, {"IMD_DATA": "variable", "IMD_LISTEN": "tcp:2"})
        assert (config.server.data, config.server.listen) == ("option", ("tcp:1",))

    def test_the_variable_for_listen_holds_endpoints_separated_by_blanks(self) -> None:
        config = load(None, {}, {"IMD_LISTEN": "tcp:1  unix:/run/x"})
        assert config.server.listen == ("tcp:1", "unix:/run/x")


class DefaultTests(ConfigTestCase):
    def test_there_is_no_api_unless_it_is_asked_for(self) -> None:
        assert (load(None, {}, {}).http.listen, load(None, {}, {}).http.operations_listen) == ((), ())
        config = load(None, {}, {"IMD_HTTP_LISTEN": "tcp:1 tcp:2", "IMD_HTTP_OPERATIONS_LISTEN": "tcp:3"})
        assert (config.http.listen, config.http.operations_listen) == (("tcp:1", "tcp:2"), ("tcp:3",))

    def test_the_defaults_are_those_of_the_contract(self) -> None:
        config = Config()
        assert (config.messages.revoke_seconds, config.messages.keep_days) == (120, 0)
        assert (config.groups.max_members, config.groups.receipt_members) == (500, 100)
        assert (config.presence.grace_seconds, config.presence.max_watched) == (5, 500)
        assert (config.notices.keep_days, config.delivery.ack_delay_ms) == (30, 50)

    def test_what_may_be_nothing_can_be_turned_off(self) -> None:
        environ = {"IMD_MESSAGES_REVOKE_SECONDS": "0", "IMD_GROUPS_RECEIPT_MEMBERS": "0"}
        config = load(self.file("[messages]\nkeep_days = 0"), {}, environ)
        assert (config.messages.revoke_seconds, config.messages.keep_days, config.groups.receipt_members) == (0, 0, 0)

    def test_a_day_may_be_a_fraction(self) -> None:
        config = load(self.file("[messages]\nkeep_days = 0.5\n[notices]\nkeep_days = 0.25"), {}, {})
        assert (config.messages.keep_days, config.notices.keep_days) == (0.5, 0.25)


class PlaceTests(ConfigTestCase):
    def test_the_secret_and_the_database_lie_in_the_data_folder(self) -> None:
        config = load(None, {"server.data": "d"}, {})
        assert config.secret_file == Path("d/token.secret")
        assert (config.database, config.database_url) == (Path("d/imd.sqlite"), "sqlite:///d/imd.sqlite")
        assert config.is_on_sqlite

    def test_the_secret_and_the_database_can_lie_elsewhere(self) -> None:
        environ = {"IMD_SSO_SECRET_FILE": "/s", "IMD_STORAGE_URL": "sqlite:////var/x.db"}
        config = load(None, {}, environ)
        assert (config.secret_file, config.database) == (Path("/s"), Path("/var/x.db"))
        assert config.database_url == "sqlite:////var/x.db"
        assert config.is_on_sqlite

    def test_the_database_can_be_a_postgresql(self) -> None:
        url = "postgresql://imd:hunter2@db/imd?sslmode=require"
        config = load(None, {}, {"IMD_STORAGE_URL": url})
        assert config.database_url == url
        assert not config.is_on_sqlite


class LoginSystemTests(ConfigTestCase):
    def test_the_key_that_is_set_says_how_tokens_are_checked(self) -> None:
        assert load(None, {}, {}).sso.source == "secret_file"
        for key in ("secret_file", "public_key_file", "jwks_url", "url", "introspection_url"):
            value = "https://login.example/x" if key.endswith("url") else "/x"
            assert load(self.file(f"[sso]\n{key} = '{value}'"), {}, {}).sso.source == key

    def test_two_ways_at_once_are_refused(self) -> None:
        said = self.complaint("[sso]\njwks_url = 'https://a/b'", IMD_SSO_SECRET_FILE="/s")
        assert said.startswith("[sso] secret_file and jwks_url are set, where one way to check tokens was expected")

    def test_an_empty_variable_takes_a_way_back(self) -> None:
        config = load(
            self.file("[sso]\nsecret_file = '/s'"), {}, {"IMD_SSO_SECRET_FILE": "", "IMD_SSO_URL": "https://a"}
        )
        assert config.sso.source == "url"

    def test_where_there_is_no_secret_none_can_be_asked_for(self) -> None:
        config = load(None, {}, {"IMD_SSO_URL": "https://a/b"})
        with pytest.raises(ConfigError, match="there is no secret here that signs them"):
            _ = config.secret_file

    def test_what_means_nothing_there_is_refused(self) -> None:
        for lines in (
            "cache_seconds = 5",
            "client_id = 'imd'",
            "jwks_seconds = 5",
            "public_key_file = '/k'\nca_file = '/c'",
            "jwks_url = 'https://a'\nretries = 2",
            "url = 'https://a'\naudience = 'imd'",
            "url = 'https://a'\nleeway_seconds = 5",
            "introspection_url = 'https://a'\njwks_seconds = 5",
        ):
            assert "but means nothing where" in self.complaint(f"[sso]\n{lines}"), lines

    def test_an_algorithm_has_to_fit_the_kind_of_key(self) -> None:
        assert "needs the shared secret" in self.complaint(
            "[sso]\npublic_key_file = '/k'\nalgorithm = 'HS256'",
        )
        assert "needs public_key_file or jwks_url" in self.complaint("[sso]\nalgorithm = 'RS256'")
        for algorithm in ("none", "HS512", "rs256"):
            assert "expected" in self.complaint(f"[sso]\nalgorithm = '{algorithm}'")
        assert load(self.file("[sso]\nalgorithm = 'HS256'"), {}, {}).sso.algorithm == "HS256"

    def test_who_imd_is_is_said_in_one_way_and_whole(self) -> None:
        url = "[sso]\nurl = 'https://a'\n"
        assert "set together, or neither" in self.complaint(f"{url}client_id = 'imd'")
        assert "set together, or neither" in self.complaint(f"{url}client_secret_file = '/s'")
        whole = f"{url}client_id = 'imd'\nclient_secret_file = '/s'\n"
        assert load(self.file(whole), {}, {}).sso.client_id == "imd"
        assert "one way to show who imd is" in self.complaint(f"{whole}bearer_file = '/b'")

    def test_a_login_ends_after_the_question_about_it(self) -> None:
        said = self.complaint("[sso]\nurl = 'https://a'\ntimeout_seconds = 10")
        assert "[sso] timeout_seconds is 10 and [gateway] login_seconds 10" in said

    def test_a_login_system_is_reached_by_tls_or_on_this_machine(self) -> None:
        for url in (
            "https://a",
            "https://login.example:8443/a?b=c&d",
            "https://[::1]:8/a",
            "http://localhost:8000/x",
            "http://127.0.0.1/x",
            "http://127.8.8.8:1",
            "http://[::1]:8000",
        ):
            assert load(None, {}, {"IMD_SSO_URL": url}).sso.url == url
        for url in (
            "http://login.example/a",
            "http://127.0.0.1.example/",
            "http://localhost.example/",
            "http://localhost@login.example/",
            "https://imd:hunter2@login.example/",
            "https://",
            "https://a:b/",
            "https://a/b c",
            "https://a/\n",
            "ftp://a/hunter2",
            "login.example/hunter2",
        ):
            said = self.complaint(IMD_SSO_URL=url)
            assert "where https://HOST/PATH without a user, or http:// to this machine alone, was expected" in said, url
            assert "hunter2" not in said


class ComplaintTests(ConfigTestCase):
    def test_a_missing_file(self) -> None:
        with pytest.raises(ConfigError, match=r"\Ano/such\.toml can't be read: No such file or directory\.\Z"):
            load(Path("no/such.toml"), {}, {})

    def test_a_syntax_error_names_its_line(self) -> None:
        assert "FILE is not TOML: Invalid value (at line 2" in self.complaint("[server]\ndata = x\n")

    def test_bytes_that_are_no_text(self) -> None:
        assert "FILE is not UTF-8" in self.complaint(b"\xff")

    def test_values_that_python_can_not_read(self) -> None:
        for value in ("[" * 5000, "9" * 5000):
            assert "FILE is not TOML" in self.complaint(f"x = {value}")

    def test_an_unknown_section_suggests_the_nearest(self) -> None:
        assert self.complaint("[serve]") == "FILE: the section [serve] is unknown: did you mean server?"

    def test_an_unknown_key_suggests_the_nearest(self) -> None:
        assert self.complaint("[server]\nlisten_ = 1") == "FILE: [server] listen_ is unknown: did you mean listen?"

    def test_an_unknown_key_like_no_other_lists_the_known(self) -> None:
        assert self.complaint("[notices]\nzzz = 1") == "FILE: [notices] zzz is unknown: known are keep_days."

    def test_a_key_where_a_section_was_expected(self) -> None:
        assert self.complaint("server = 3") == "FILE: server was expected to be a section, [server]."

    def test_an_unknown_variable_suggests_the_nearest(self) -> None:
        said = self.complaint(IMD_SERVER_DATA="x")
        assert said == "The variable IMD_SERVER_DATA is unknown: did you mean IMD_DATA?"

    def test_a_wrong_type_is_told_with_what_was_expected(self) -> None:
        said = self.complaint("[gateway]\nmax_body = '1 MiB'")
        expected = "a whole number of at least 71680 and at most 1048576 was expected."
        assert said == f"FILE: [gateway] max_body is '1 MiB', where {expected}"

    def test_a_wrong_variable_is_told_by_its_name(self) -> None:
        said = self.complaint(IMD_GATEWAY_LOGIN_SECONDS="soon")
        expected = "a number above 0 and at most 3600 was expected."
        assert said == f"The variable IMD_GATEWAY_LOGIN_SECONDS is 'soon', where {expected}"

    def test_a_wrong_override_is_told_by_its_key(self) -> None:
        with pytest.raises(ConfigError, match=r"The command line's server\.data is ''"):
            load(None, {"server.data": ""}, {})

    def test_values_out_of_range_or_of_another_type_are_refused(self) -> None:
        for line in (
            "[gateway]\nlogin_seconds = 0",
            "[gateway]\nlogin_seconds = nan",
            "[gateway]\nlogin_seconds = inf",
            "[gateway]\nlogin_seconds = true",
            "[gateway]\nmax_body = 71679",
            "[gateway]\nmax_body = 1e5",
            "[server]\nlisten = []",
            "[server]\nlisten = ['']",
            "[server]\nlisten = 'tcp:7650'",
            '[server]\nnode = "a\\n"',
            "[server]\nnode = 'a b'",
            '[server]\ndata = "a\\u0000b"',
            "[storage]\nurl = 'sqlite://'",
            "[storage]\nurl = 'sqlite:///:memory:'",
            "[presence]\ngrace_seconds = 0",
            "[presence]\nmax_watched = 0",
            "[presence]\nmax_watched = 10001",
            "[delivery]\nbroadcast_per_second = 99",
            "[messages]\nrevoke_seconds = -1",
            "[messages]\nrevoke_seconds = 31536001",
            "[messages]\nkeep_days = -0.1",
            "[messages]\nkeep_days = 36501",
            "[notices]\nkeep_days = 0",
            "[notices]\nkeep_days = 3651",
            "[groups]\nreceipt_members = -1",
            "[groups]\nreceipt_members = 100001",
        ):
            assert "expected" in self.complaint(line), line

    def test_variables_that_are_no_text_are_refused(self) -> None:
        assert "IMD_GROUPS_CACHED" in self.complaint(IMD_GROUPS_CACHED="�")

    def test_an_idle_limit_below_the_heartbeat_is_refused(self) -> None:
        said = self.complaint("[gateway]\nidle_seconds = 5")
        assert "[gateway] idle_seconds is 5 and heartbeat_seconds 5" in said

    def test_another_database_or_presence_is_refused_without_telling_its_password(self) -> None:
        for section, url in (("storage", "mysql://imd:hunter2@db/imd"), ("presence", "memcached://:hunter2@cache")):
            said = self.complaint(f"[{section}]\nurl = '{url}'")
            assert f"[{section}] url is a {url.partition(':')[0]} address, where" in said
            assert "hunter2" not in said
