"""The HTTP API against who means it ill: fuzzed, without keys, too large, too slow, too often, and in the log's way."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from pytest_twisted import ensureDeferred
from schemathesis import GenerationMode

from imd.http.auth import GUESSES_PER_SECOND

from .api import ApiDaemon
from .conftest import LogIn, NewUid
from .device import eventually, new_id

EXAMPLES = 15
"""Requests to each route, of those that fit its schema and again of those that don't."""

BODY = 1024 * 1024


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiDaemon]:
    """A daemon whose requests have to come within a second."""
    variables = {"IMD_HTTP_REQUEST_SECONDS": "1", "IMD_HTTP_MAX_CONNECTIONS": "20"}
    served = ApiDaemon(tmp_path_factory.mktemp("served"), variables)
    try:
        yield served.start()
    finally:
        served.close()


def requests_session(key: str) -> Any:
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {key}"
    return session


@pytest.fixture(scope="module")
def described(served: ApiDaemon) -> dict[str, Any]:
    """The API's description."""
    session = requests_session(served.api.key)
    found: dict[str, Any] = session.get(f"http://127.0.0.1:{served.api_port}/openapi.json", timeout=10).json()
    return found


class Raw:
    """A bare connection to the API."""

    def __init__(self, served: ApiDaemon) -> None:
        self._socket = socket.create_connection(("127.0.0.1", served.api_port), timeout=10)
        self.head = f"Host: imd\r\nAuthorization: Bearer {served.api.key}\r\n"

    def send(self, text: str | bytes) -> "Raw":
        self._socket.sendall(text.encode() if isinstance(text, str) else text)
        return self

    def read(self) -> bytes:
        """Return all that comes until the server closes."""
        parts = []
        while part := self._receive():
            parts.append(part)
        self._socket.close()
        return b"".join(parts)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(65536)
        except ConnectionResetError:
            return b""


# What comes in.


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_makes_the_server_fail(served: ApiDaemon, described: dict[str, Any], mode: GenerationMode) -> None:
    key = served.key(per_second=100_000)
    schema = schemathesis.openapi.from_dict(described)
    session = requests_session(key)
    statuses: list[int] = []
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def try_it(case: Any) -> None:
            answer = case.call(base_url=f"http://127.0.0.1:{served.api_port}", session=session)
            assert answer.status_code < 500, (answer.status_code, answer.text)
            statuses.append(answer.status_code)

        try:
            try_it()
        except schemathesis.errors.SchemathesisError:
            continue  # nothing about this route can be wrong
    # Without a key, or refused before anything was looked at, it would prove nothing.
    reached = [status for status in statuses if status not in (401, 429)]
    assert len(reached) >= EXAMPLES * 10
    assert served.daemon.is_running


@ensureDeferred
async def test_nothing_is_answered_without_a_key(served: ApiDaemon, described: dict[str, Any]) -> None:
    prefix = served.api.key.split("_")[1]
    wrong = ["", "imd_x", f"imd_{prefix}_{'0' * 64}", f"imd_{'0' * 16}_{'0' * 64}", served.api.key + "0"]
    for path, operations in described["paths"].items():
        for method in operations:
            answer = await served.api.ask(method.upper(), path.replace("{", "").replace("}", ""), key="")
            assert answer.status == 401
    for key in wrong:
        answer = await served.api.ask("GET", "/v1/statistics", key=key)
        assert (answer.status, answer.body["code"]) == (401, "UNAUTHORIZED")
        assert answer.headers.getRawHeaders("WWW-Authenticate") == ['Bearer realm="imd"']
    for path in ("/", "/nothing", "/metrics", "/healthz"):
        assert (await served.api.ask("GET", path, key="")).status == 401


@ensureDeferred
async def test_a_key_that_has_expired_is_refused(served: ApiDaemon) -> None:
    key = served.key(lifetime_ms=1500)
    assert (await served.api.ask("GET", "/v1/statistics", key=key)).status == 200

    async def is_refused() -> bool:
        return (await served.api.ask("GET", "/v1/statistics", key=key)).status == 401

    await eventually(is_refused)


@ensureDeferred
async def test_every_route_needs_its_scope(served: ApiDaemon, described: dict[str, Any]) -> None:
    key = served.key("presence", per_second=10_000)
    open_to_it = {("/v1/presence", "get"), ("/openapi.json", "get")}
    for path, operations in described["paths"].items():
        for method in operations:
            answer = await served.api.ask(method.upper(), path.replace("{", "").replace("}", ""), {}, key=key)
            assert (answer.status == 403) == ((path, method) not in open_to_it), path


@ensureDeferred
async def test_a_key_has_its_own_rate_and_guessing_keys_has_one_too(served: ApiDaemon) -> None:
    key = served.key("statistics", per_second=2)
    statuses = [(await served.api.ask("GET", "/v1/statistics", key=key)).status for _ in range(6)]
    assert statuses[:4] == [200] * 4
    assert 429 in statuses
    guesses = [
        f"GET /v1/statistics HTTP/1.1\r\nHost: imd\r\nAuthorization: Bearer imd_{n:016x}_{'0' * 64}\r\n"
        for n in range(int(5 * GUESSES_PER_SECOND))
    ]
    answers = Raw(served).send("\r\n".join(guesses) + "Connection: close\r\n\r\n").read()
    assert answers.startswith(b"HTTP/1.1 401 ")
    assert 0 < answers.count(b"HTTP/1.1 401 ") < len(guesses)
    assert answers.count(b"HTTP/1.1 429 ") == answers.count(b"Retry-After: 1") > 0
    assert (await served.api.ask("GET", "/v1/statistics")).status == 200


@ensureDeferred
async def test_addresses_and_methods_that_there_are_not(served: ApiDaemon) -> None:
    for path in ("/", "/v1", "/v1/users/", "/v1//kick", "/v1/users/7/", "/v1/users/7%2Fban", "/v1/users/7/ban/x"):
        assert (await served.api.ask("GET", path)).status in (400, 404), path
    answer = await served.api.ask("PUT", "/v1/users/7")
    assert (answer.status, answer.headers.getRawHeaders("Allow")) == (405, ["GET"])
    wrong = {
        "/v1/users/x": "uid",
        "/v1/users/0": "uid",
        f"/v1/users/{2**63}": "uid",
        "/v1/users/7?more=1": "",
        "/v1/groups/1_2/messages?limit=0": "limit",
        "/v1/groups/1_2/messages?limit=1&limit=2": "limit",
        "/v1/groups/1_2?group_id=2_3": "group_id",
        "/v1/groups/%00": "",
        "/v1/groups/%ff": "",
        "/v1/groups/" + "x" * 65: "group_id",
    }
    for path, place in wrong.items():
        answer = await served.api.ask("GET", path)
        assert (answer.status, answer.body.get("path", "")) == (400, place), path


@ensureDeferred
async def test_bodies_that_are_none(served: ApiDaemon) -> None:
    json_type = {"Content-Type": "application/json"}
    for content in (b"", b"{", b"\xff", b"[" * 100_000, b'{"msg_id": "\\ud800"}', b"null", b"[]"):
        answer = await served.api.ask("POST", "/v1/messages", content=content, headers=json_type)
        assert (answer.status, answer.body["code"]) == (400, "BAD_REQUEST"), content[:10]
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = await served.api.ask("POST", "/v1/messages", content=b"{}", headers={"Content-Type": media_type})
        assert answer.status == 415
    answer = await served.api.ask("POST", "/v1/messages", {"msg_id": "a", "msg_boddy": "typo", "group_id": "1_2"})
    assert (answer.status, answer.body["path"]) == (400, "$")
    assert "msg_boddy" in answer.body["detail"]
    for text in ("\0", "a\0b"):
        answer = await served.api.ask("POST", "/v1/messages", {"msg_id": "a", "msg_body": text, "group_id": "1_2"})
        assert (answer.status, answer.body["path"]) == (400, "$.msg_body")


# What is too much.


def test_a_body_past_the_limit_is_refused_and_not_kept(served: ApiDaemon) -> None:
    raw = Raw(served)
    post = f"POST /v1/messages HTTP/1.1\r\n{raw.head}Content-Type: application/json\r\n"
    answer = raw.send(f"{post}Content-Length: {BODY + 1}\r\n\r\n").send(b" " * (BODY + 1)).read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "REQUEST_ENTITY_TOO_LARGE"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    raw = Raw(served).send(f"{post}Transfer-Encoding: chunked\r\n\r\n")
    answer = raw.send(chunk * (BODY // 0x10000 + 1) + b"0\r\n\r\n").read()
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_request_that_comes_too_slowly_ends_its_connection(served: ApiDaemon) -> None:
    for begin in ("", "GET /v1/statistics HTTP/1.1\r\n", "POST /v1/messages HTTP/1.1\r\nContent-Length: 100\r\n\r\n"):
        raw, began = Raw(served).send(begin), time.monotonic()
        try:
            while time.monotonic() - began < 10:  # a byte now and then is not enough
                raw.send("x")
                time.sleep(0.2)
        except OSError:
            pass
        assert time.monotonic() - began < 5
    assert served.daemon.is_running


def test_connections_past_the_limit_are_refused_and_the_others_are_served(served: ApiDaemon) -> None:
    idle = [Raw(served) for _ in range(20)]
    past = Raw(served)
    assert past.read() == b""
    first = idle[0]
    answer = first.send(f"GET /v1/statistics HTTP/1.1\r\n{first.head}Connection: close\r\n\r\n").read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    for raw in idle[1:]:
        raw.read()


# What is smuggled.


def test_headers_can_not_be_smuggled(served: ApiDaemon) -> None:
    for line in ("X: a\0b\r\n", "X : a\r\n", "No colon\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n"):
        raw = Raw(served)
        answer = raw.send(f"GET /v1/statistics HTTP/1.1\r\n{line}{raw.head}\r\n").read()
        assert answer.startswith(b"HTTP/1.1 400 "), line
    raw = Raw(served)
    both = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"
    answer = raw.send(f"POST /v1/messages HTTP/1.1\r\n{raw.head}{both}\r\n0\r\n\r\n").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    raw = Raw(served)
    twice = f"{raw.head}Authorization: Bearer x\r\nConnection: close\r\n"
    assert raw.send(f"GET /v1/statistics HTTP/1.1\r\n{twice}\r\n").read().startswith(b"HTTP/1.1 401 ")


def test_a_line_that_is_too_long_is_told_of(served: ApiDaemon) -> None:
    long = "x" * 20_000
    for begin, status in ((f"GET /{long} HTTP/1.1\r\n", 414), (f"GET / HTTP/1.1\r\nX: {long}\r\n", 431)):
        raw = Raw(served)
        assert raw.send(f"{begin}{raw.head}\r\n").read().startswith(f"HTTP/1.1 {status} ".encode())


def test_a_path_leads_nowhere_else(served: ApiDaemon) -> None:
    for path in (
        "/../../etc/passwd",
        "//etc/passwd",
        "/v1/../healthz",
        "/%2e%2e/%2e%2e/etc/passwd",
        "*",
        "http://x/v1",
    ):
        raw = Raw(served)
        answer = raw.send(f"GET {path} HTTP/1.1\r\n{raw.head}Connection: close\r\n\r\n").read()
        assert answer[9:12] in (b"400", b"404", b"405"), path


@ensureDeferred
async def test_nothing_that_is_asked_breaks_a_line_of_the_log(tmp_path: Path, log_in: LogIn, new_uid: NewUid) -> None:
    served = ApiDaemon(tmp_path / "served").start()
    try:
        device = await log_in(served.daemon, new_uid())
        forged = "x\r\n2026-01-01T00:00:00+0000 [imd#info] forged \x1b[31m"
        await served.api.done("POST", "/v1/broadcasts", {"msg_id": new_id(), "msg_body": forged, "sender_name": forged})
        await served.api.done("POST", f"/v1/users/{device.uid}/kick", {"message": forged})
        await served.api.ask("PATCH", f"/v1/groups/{'a%0d%0aforged%1b'}", {"group_name": forged})
        made = await served.api.done("POST", "/v1/groups", {"owner_id": device.uid, "group_name": forged})
        await served.api.done("PATCH", f"/v1/groups/{made['group_id']}", {"group_name": forged})
        await served.api.ask("GET", "/v1/statistics", headers={"User-Agent": "forged"}, key="imd_forged")
        await served.api.done("POST", "/v1/tokens", {"uid": device.uid})
        log = served.daemon.log
        assert "forged" not in log
        assert "\x1b" not in log
        said = [line for line in log.splitlines() if 'key "tests"' in line]
        assert any(f'POST /v1/users/{{uid}}/kick {{"uid":{device.uid}}}' in line for line in said)
        for secret in (served.api.key.split("_")[2], "eyJ", (served.daemon.data / "token.secret").read_text().strip()):
            assert secret not in log
    finally:
        served.close()
