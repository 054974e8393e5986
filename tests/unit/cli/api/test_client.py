"""How imctl asks the API, and with which exit code each refusal ends it; over a server of the test's own."""

import json
import tempfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from imd.cli.api.client import ApiClient, read_key
from imd.cli.api.options import table_of
from imd.cli.main import main
from imd.errors import ConfigError, StartError


class Answering(BaseHTTPRequestHandler):
    """Answers what the test has put into ``answer``, and keeps what it was asked."""

    answer: tuple[int, bytes] = (200, b"{}")
    asked: ClassVar[list[tuple[str, str, str | None, bytes]]] = []

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append((self.command, self.path, self.headers["Authorization"], body))
        status, content = self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class ServerTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = HTTPServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Answering.asked = []
        Answering.answer = 200, b"{}"
        thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def imctl(self, *arguments: str, **variables: str) -> Result:
        environment = {"IMCTL_URL": self.url, "IMCTL_KEY": "imd_k", "IMCTL_KEY_FILE": "", "COLUMNS": "200", **variables}
        return CliRunner().invoke(main, arguments, env=environment)


class CommandTests(ServerTestCase):
    def asked(self, *arguments: str) -> tuple[str, str, Any]:
        """Return what a command asks."""
        result = self.imctl(*arguments)
        assert result.exit_code == 0, result.output
        method, path, key, body = Answering.asked.pop()
        assert key == "Bearer imd_k"
        return method, path, json.loads(body) if body else None

    def test_each_command_asks_its_route(self) -> None:
        for line, expected in {
            "user show 7": ("GET", "/v1/users/7", None),
            "user sessions 7": ("GET", "/v1/users/7/sessions", None),
            "user presence 7 8": ("GET", "/v1/presence?uids=7&uids=8", None),
            "user kick 7 --client-type 11": ("POST", "/v1/users/7/kick", {"client_type": 11, "message": ""}),
            "user ban 7": ("POST", "/v1/users/7/ban", None),
            "user unban 7": ("POST", "/v1/users/7/unban", None),
            "user void-tokens 7": ("POST", "/v1/users/7/tokens/void", {}),
            "user blocks 7": ("GET", "/v1/users/7/blocks", None),
            "user block 7 8 9": ("POST", "/v1/users/7/blocks", {"uids": [8, 9]}),
            "user unblock 7 8": ("DELETE", "/v1/users/7/blocks/8", None),
            "user token 7": ("POST", "/v1/tokens", {"uid": 7, "name": "", "seconds": 86_400}),
            "group show g": ("GET", "/v1/groups/g", None),
            "group update g --name x": ("PATCH", "/v1/groups/g", {"group_name": "x"}),
            "group members g --limit 5": ("GET", "/v1/groups/g/members?cursor=&limit=5", None),
            "group invite g 7 8": ("POST", "/v1/groups/g/members", {"uids": [7, 8]}),
            "group remove g 7": ("DELETE", "/v1/groups/g/members/7", None),
            "group role g 7 admin": ("PUT", "/v1/groups/g/members/7/role", {"role": 2}),
            "group mute g 7 --minutes 0": ("PUT", "/v1/groups/g/members/7/mute", {"until": 0}),
            "group mute g --minutes 0": ("PUT", "/v1/groups/g/mute", {"until": 0}),
            "group dismiss g": ("DELETE", "/v1/groups/g", None),
            "group history 1_2": ("GET", "/v1/groups/1_2/messages?cursor=&limit=100", None),
            "trace g m": ("GET", "/v1/messages/m/trace?group_id=g&cursor=", None),
            "statistics": ("GET", "/v1/statistics", None),
            "send hi --group g --msg-id m": (
                "POST",
                "/v1/messages",
                {"msg_id": "m", "sender_id": 0, "msg_body": "hi", "group_id": "g"},
            ),
            "send hi --to 8 --from 7 --msg-id m": (
                "POST",
                "/v1/messages",
                {"msg_id": "m", "sender_id": 7, "msg_body": "hi", "receiver_id": 8},
            ),
            "broadcast hi --msg-id m": (
                "POST",
                "/v1/broadcasts",
                {"msg_id": "m", "sender_id": 0, "msg_body": "hi"},
            ),
        }.items():
            assert self.asked(*line.split()) == expected, line

    def test_a_notice_says_one_thing(self) -> None:
        for more, said in (
            (("--text", "hi"), {"text": "hi"}),
            (("--payload", '{"a": 1}'), {"json": {"a": 1}}),
            ((), {}),
        ):
            _, _, body = self.asked("notice", "7", "8", "--notice-id", "n", "--type", "3", *more)
            assert body == {"notices": [{"notice_id": "n", "uids": [7, 8], "notice_type": 3, "sender": "", **said}]}
        assert self.imctl("notice", "7", "--text", "a", "--payload", "1").exit_code == 2
        assert self.imctl("notice", "7", "--payload", "{").exit_code == 2

    def test_a_message_goes_into_one_conversation(self) -> None:
        assert self.imctl("send", "hi").exit_code == 2
        assert self.imctl("send", "hi", "--to", "7", "--group", "g").exit_code == 2
        assert Answering.asked == []

    def test_what_stands_in_a_path_leads_nowhere_else(self) -> None:
        assert self.asked("group", "show", "../users/7?x=1#y")[1] == "/v1/groups/..%2Fusers%2F7%3Fx%3D1%23y"

    def test_an_answer_is_a_table_or_json(self) -> None:
        answer = {"members": [{"uid": 7, "name": "Ann\x1b[31m [b]"}], "cursor": "7"}
        Answering.answer = 200, json.dumps(answer).encode()
        shown = self.imctl("group", "members", "g").output
        assert "Ann[31m [b]" in shown
        assert "cursor: 7" in shown
        assert "\x1b" not in shown
        assert json.loads(self.imctl("group", "members", "g", "--json").output) == answer

    def test_each_refusal_has_its_exit_code(self) -> None:
        for status, code in (
            (400, 1),
            (401, 77),
            (403, 77),
            (404, 66),
            (409, 1),
            (413, 1),
            (429, 75),
            (500, 1),
            (503, 75),
        ):
            Answering.answer = status, json.dumps({"detail": "so it is", "path": "$.uids[0]"}).encode()
            result = self.imctl("user", "show", "7")
            assert result.exit_code == code
            assert "Error: so it is (at $.uids[0])" in result.output
        Answering.answer = 502, b"<html>"
        assert "the API answered 502" in self.imctl("user", "show", "7").output
        Answering.answer = 200, b"<html>"
        assert self.imctl("user", "show", "7").exit_code == 1

    def test_without_a_key_or_an_address_nothing_is_asked(self) -> None:
        assert self.imctl("user", "show", "7", IMCTL_KEY="").exit_code == 78
        assert self.imctl("user", "show", "7", IMCTL_URL="ftp://x").exit_code == 78
        assert self.imctl("user", "show", "7", IMCTL_KEY_FILE="/nothing").exit_code == 78
        assert Answering.asked == []


class ClientTests(SynchronousTestCase):
    def test_an_api_that_is_not_there_is_away(self) -> None:
        with self.assertRaises(StartError) as caught:
            ApiClient("http://127.0.0.1:1", "k", "").ask("GET", ("users", 7))
        assert caught.exception.exit_code == 75

    def test_a_key_file_holds_one_word(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "key"
            file.write_text("imd_k\n")
            assert read_key(str(file)) == "imd_k"
            for content in ("", "\n", "a b", "é"):
                file.write_text(content)
                with self.assertRaises(ConfigError):
                    read_key(str(file))

    def test_a_certificate_file_that_is_not_there_is_told(self) -> None:
        with self.assertRaises(ConfigError):
            ApiClient("https://127.0.0.1:1", "k", "/nothing")

    def test_times_are_shown_as_times_and_lists_as_words(self) -> None:
        table = table_of({"created": 0, "uids": [1, 2], "is_banned": True, "figures": {"sessions": 1.0}})
        cells = [list(column.cells) for column in table.columns]
        assert cells == [["created", "uids", "is_banned", "figures"], ["", "1, 2", "yes", "sessions 1.0"]]
