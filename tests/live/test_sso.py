"""Logins by the company's own system: a real daemon, a real HTTP server, every way to check a token."""

import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

from pytest_twisted import async_yield_fixture, ensureDeferred
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from imd.client.errors import ResultError
from imd.wire.bodies import KickUser
from imd.wire.commands import Command
from imd.wire.results import KickReason, Result
from tests.contract.sso_sources import PRIVATE, jwk, pem, signed
from tests.login_server import LoginServer, hangs

from .conftest import LogIn, NewUid, StartDaemon
from .daemon import Daemon, free_port
from .device import ANDROID, LINUX, MAC, Device, eventually, refusal

reactor: Any = _reactor
README = Path(__file__).parents[2] / "README.md"
TIMEOUT = 3.0
MARGIN = 2.0
"""Seconds that a slow machine may add."""


@async_yield_fixture
async def server() -> AsyncIterator[LoginServer]:
    """The company's login system."""
    server = LoginServer().start()
    yield server
    await server.stop()


def by(algorithm: str, uid: int, kid: str = "", seconds: float = 3600, **who: Any) -> str:
    """Return a token signed by the company."""
    return signed(PRIVATE[algorithm], algorithm, time.time(), uid, seconds, kid=kid, **who)


def credential(tmp_path: Path, word: str) -> str:
    """Return a file with a secret."""
    file = tmp_path / "credential"
    file.write_text(word)
    file.chmod(0o600)
    return str(file)


def begun(work: Coroutine[Any, Any, Any]) -> Deferred[Any]:
    """Begin something, to wait for it later."""
    return Deferred.fromCoroutine(work)


def assert_logs_no(daemon: Daemon, *secrets: str) -> None:
    """Look for tokens in all that the daemon has logged."""
    assert not [secret for secret in secrets for part in secret.split(".")[1:] or [secret] if part in daemon.log]


@ensureDeferred
async def test_a_public_key_in_a_file(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid, tmp_path: Path
) -> None:
    file = tmp_path / "login.pem"
    for algorithm in ("RS256", "EdDSA"):
        file.write_bytes(pem(PRIVATE[algorithm]))
        daemon = start_daemon(IMD_SSO_PUBLIC_KEY_FILE=file, IMD_SSO_ISSUER="https://login", IMD_SSO_AUDIENCE="imd")
        uid = new_uid()
        word = {"iss": "https://login", "aud": "imd"}
        good = by(algorithm, uid, is_admin=True, name="Ann", **word)
        admin = await log_in(daemon, uid, token=good)
        assert (await admin.request(KickUser(uid=uid, client_type=MAC))).sessions == 0
        for bad, result in (
            (by("ES256", uid, **word), Result.AUTH_FAILED),
            (by(algorithm, uid), Result.AUTH_FAILED),
            (by(algorithm, uid + 1, **word), Result.AUTH_FAILED),
            (by(algorithm, uid, seconds=-1, **word), Result.AUTH_EXPIRED),
        ):
            assert await refusal(log_in(daemon, uid, token=bad)) == result
            assert_logs_no(daemon, good, bad)


async def is_over(daemon: Daemon, uid: int, token: str) -> bool:
    """Whether a token is good no more; while keys are fetched, nobody can say."""
    device = Device(uid, LINUX)
    try:
        await device.login(daemon, token)
    except ResultError as error:
        return error.result == Result.AUTH_FAILED
    else:
        return False
    finally:
        device.connection.drop("this was to try it")


@ensureDeferred
async def test_keys_at_an_address_while_they_are_rotated(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid, server: LoginServer
) -> None:
    server.jwks = {"keys": [jwk(PRIVATE["RS256"], "RS256", "first")]}
    daemon = start_daemon(IMD_SSO_JWKS_URL=server.url("jwks"), IMD_SSO_JWKS_SECONDS=1)
    uid = new_uid()
    first, second = by("RS256", uid, "first"), by("EdDSA", uid, "second")
    phone = await log_in(daemon, uid, ANDROID, token=first)
    server.jwks["keys"].append(jwk(PRIVATE["EdDSA"], "EdDSA", "second"))
    await deferLater(reactor, 1.2)  # between two fetches
    desk = await log_in(daemon, uid, MAC, token=second)
    await log_in(daemon, uid, token=first)
    del server.jwks["keys"][0]
    await deferLater(reactor, 1.2)
    await log_in(daemon, uid, token=second)
    await eventually(lambda: is_over(daemon, uid, first))
    assert await phone.heard_all()
    assert await desk.heard_all()
    await server.stop()
    await log_in(daemon, uid, token=second)
    assert_logs_no(daemon, first, second)


@ensureDeferred
async def test_the_companys_own_login_system(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid, server: LoginServer, tmp_path: Path
) -> None:
    daemon = start_daemon(
        IMD_SSO_URL=server.url("login"),
        IMD_SSO_BEARER_FILE=credential(tmp_path, "imds-own-word"),
        IMD_SSO_CACHE_SECONDS=0,
    )
    uid, other = new_uid(), new_uid()
    good, brief, old = server.issue(uid, is_admin=True), server.issue(other, 2), server.issue(other, -1)
    admin = await log_in(daemon, uid, ANDROID, token=good)
    session = await log_in(daemon, other, token=brief)
    assert (await admin.request(KickUser(uid=other, client_type=MAC))).sessions == 0
    assert await refusal(log_in(daemon, other, token=good)) == Result.AUTH_FAILED
    assert await refusal(log_in(daemon, other, token="forged-token")) == Result.AUTH_FAILED
    assert await refusal(log_in(daemon, other, token=old)) == Result.AUTH_EXPIRED
    assert (await session.told(Command.USER_KICK)).reason == KickReason.TOKEN_EXPIRED
    assert {seen.headers["authorization"] for seen in server.seen} == {"Bearer imds-own-word"}
    assert_logs_no(daemon, good, brief, old, "forged-token", "imds-own-word")


@ensureDeferred
async def test_token_introspection(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid, server: LoginServer, tmp_path: Path
) -> None:
    daemon = start_daemon(
        IMD_SSO_INTROSPECTION_URL=server.url("introspect"),
        IMD_SSO_CLIENT_ID="imd",
        IMD_SSO_CLIENT_SECRET_FILE=credential(tmp_path, "imds own secret"),
    )
    uid, other = new_uid(), new_uid()
    good = server.issue(uid, name="Ann")
    await log_in(daemon, uid, token=good)
    assert await refusal(log_in(daemon, other, token=good)) == Result.AUTH_FAILED
    assert await refusal(log_in(daemon, other, token="forged-token")) == Result.AUTH_EXPIRED
    assert {seen.headers["authorization"] for seen in server.seen} == {"Basic aW1kOmltZHMrb3duK3NlY3JldA=="}
    assert daemon.rows("SELECT name FROM x_user WHERE uid = ?", uid) == [("Ann",)]
    assert_logs_no(daemon, good, "forged-token", "imds own secret", "aW1kOmltZHMrb3duK3NlY3JldA==")


@ensureDeferred
async def test_the_login_system_of_the_readme(start_daemon: StartDaemon, log_in: LogIn, tmp_path: Path) -> None:
    [example] = re.findall(r"(?ms)^cat >login.py <<'END'\n(.+?)^END$", README.read_text())
    port = free_port()
    file = tmp_path / "login.py"
    file.write_text(example.replace("8000", str(port)))
    process = subprocess.Popen([sys.executable, str(file)], stderr=subprocess.DEVNULL)
    try:
        daemon = start_daemon(IMD_SSO_URL=f"http://127.0.0.1:{port}/")
        ann, ben = await log_in(daemon, 1, token="token-of-ann"), await log_in(daemon, 2, token="token-of-ben")
        await ann.say("hello", to=2)
        assert (await ben.hear()).sender_name == "Ann"
        assert await refusal(log_in(daemon, 1, token="token-of-ben")) == Result.AUTH_FAILED
    finally:
        process.kill()
        process.wait()


@ensureDeferred
async def test_while_the_login_system_is_away_nobody_comes_in_and_chat_goes_on(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid, server: LoginServer
) -> None:
    daemon = start_daemon(IMD_SSO_URL=server.url("login"))
    alice, bob = [await log_in(daemon, uid, token=server.issue(uid)) for uid in (new_uid(), new_uid())]
    uid = new_uid()
    token = server.issue(uid)

    async def chat(text: str) -> None:
        began = time.monotonic()
        await alice.say(text, to=bob.uid)
        assert (await bob.hear()).msg_body == text
        assert time.monotonic() - began < MARGIN

    server.fault = hangs
    began = time.monotonic()
    asked = [begun(refusal(log_in(daemon, uid, kind, token=token))) for kind in (ANDROID, MAC)]
    await deferLater(reactor, 0.5)
    await chat("while it hangs")
    assert [await each for each in asked] == [Result.UNAVAILABLE] * 2
    assert TIMEOUT - 0.5 < time.monotonic() - began < TIMEOUT + MARGIN
    await server.stop()
    for _ in range(5):
        began = time.monotonic()
        assert await refusal(log_in(daemon, uid, token=token)) == Result.UNAVAILABLE
        assert time.monotonic() - began < TIMEOUT + MARGIN
    await chat("while it is gone")
    server.fault = None
    server.start(server.address)
    await deferLater(reactor, 5.2)  # it is left alone for a while
    await log_in(daemon, uid, token=token)
    assert "is left alone" in daemon.log
    assert "answers again" in daemon.log
    assert_logs_no(daemon, token)


@ensureDeferred
async def test_a_daemon_that_is_stopped_does_not_wait_for_the_login_system(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid, server: LoginServer
) -> None:
    daemon = start_daemon(IMD_SSO_URL=server.url("login"))
    server.fault = hangs
    uid = new_uid()
    waiting = begun(refusal(log_in(daemon, uid, token=server.issue(uid))))
    waiting.addErrback(lambda _: None)
    await deferLater(reactor, 0.3)
    daemon.terminate()
    assert daemon.wait() == 0
    await waiting
