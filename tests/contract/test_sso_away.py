"""ISso: a login system that can't be asked, or answers nonsense, lets nobody in and holds nobody up."""

from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor as _reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from imd.errors import UnavailableError
from tests.login_server import (
    Fault,
    LoginServer,
    breaks_off,
    hangs,
    hangs_half_way,
    hangs_up,
    late,
    never_ends,
    says,
)

from .sso_sources import PATIENCE, RemoteTokens

reactor: Any = _reactor
TIMEOUT = 0.4
"""Seconds in which the login system has to answer while it is not well."""

MARGIN = 3.0
"""Seconds that a slow machine may add."""

FAULTS: dict[str, Fault] = {
    "it hangs": hangs,
    "it hangs half way": hangs_half_way,
    "it is too slow": late(TIMEOUT + 0.2),
    "it breaks off": breaks_off,
    "it hangs up": hangs_up,
    "it never ends": never_ends,
    "it fails": says(b"oops", 500),
    "it is busy": says(b"", 429),
    "it is elsewhere": says(b"", 404),
    "it says nothing": says(b""),
    "it says no JSON": says(b"<html>welcome</html>"),
    "it says other JSON": says(b'["ok", "active", "keys"]'),
    "it says it in other types": says(b'{"ok": "true", "active": "true", "keys": "none"}'),
    "it says endless JSON": says(b"[" * 50_000),
    "it says numbers that are none": says(b'{"ok": true, "expires": NaN, "active": 1, "keys": 1}'),
    "it says what is no text": says(b'{"ok": true, "name": "\xff", "active": 1, "keys": {}}'),
    "it says too much": says(b'{"ok": true, "active": true, "keys": [], "x": "' + b"x" * 300_000 + b'"}'),
    "it says zipped what nobody asked for": says(b"\x1f\x8b" + b"\0" * 100, **{"Content-Encoding": "gzip"}),
}


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What is logged meanwhile."""
    told: list[str] = []

    @implementer(ILogObserver)
    def keep(event: LogEvent) -> None:
        told.append(formatEvent(event) + repr(event.get("log_failure", "")))

    globalLogPublisher.addObserver(keep)
    yield told
    globalLogPublisher.removeObserver(keep)


async def refused_in_time(remote: RemoteTokens, token: str) -> None:
    remote.wait(TIMEOUT)
    began = monotonic()
    with pytest.raises(UnavailableError) as refused:
        await remote.verify(7, token)
    assert monotonic() - began < TIMEOUT + MARGIN
    assert token not in str(refused.value)
    remote.wait(PATIENCE)


async def may_be_asked_again(remote: RemoteTokens) -> None:
    """Wait until keys are fetched again."""
    if remote.path == "jwks":
        await deferLater(reactor, 0.25)


@pytest.mark.parametrize("fault", FAULTS)
@ensureDeferred
async def test_a_fault_is_unavailable_in_time_and_over_when_it_is_over(
    remote: RemoteTokens, fault: str, log: list[str]
) -> None:
    remote.server.fault = FAULTS[fault]
    token = remote.token(7)
    await refused_in_time(remote, token)
    remote.server.fault = None
    await may_be_asked_again(remote)
    assert (await remote.verify(7, token)).uid == 7
    assert log
    assert not [line for line in log if token in line]


@ensureDeferred
async def test_who_is_not_there_is_unavailable_and_found_again_at_the_same_address(remote: RemoteTokens) -> None:
    token = remote.token(7)
    assert (await remote.verify(7, token, device_id="a")).uid == 7
    await remote.server.stop()
    if remote.path != "jwks":
        await refused_in_time(remote, token)
    remote.server.start(remote.server.address)
    assert (await remote.verify(7, token, device_id="b")).uid == 7


@ensureDeferred
async def test_who_was_never_there_is_unavailable(remote: RemoteTokens) -> None:
    token = remote.token(7)
    await remote.server.stop()
    await refused_in_time(remote, token)
    remote.server.start(remote.server.address)
    await may_be_asked_again(remote)
    assert (await remote.verify(7, token)).uid == 7


@ensureDeferred
async def test_a_redirect_is_not_followed_with_the_token(remote: RemoteTokens) -> None:
    elsewhere = LoginServer(lambda: remote.now).start()
    for status in (301, 302, 303, 307, 308):
        remote.server.fault = says(b"", status, Location=elsewhere.url(remote.path))
        await refused_in_time(remote, remote.token(7))
    assert elsewhere.seen == []
    await elsewhere.stop()


@ensureDeferred
async def test_the_reactor_goes_on_while_many_wait(remote: RemoteTokens) -> None:
    token = remote.token(7)
    remote.wait(TIMEOUT)
    remote.server.fault = hangs
    turns: list[float] = []
    beat = LoopingCall(lambda: turns.append(monotonic()))
    beat.start(0.01)
    began = monotonic()
    outcomes = [remote.verify(uid, token).addErrback(lambda failure: failure.type) for uid in range(1, 300)]
    assert set(await gatherResults(outcomes)) == {UnavailableError}
    beat.stop()
    assert monotonic() - began < TIMEOUT + MARGIN
    assert len(turns) > 10


@ensureDeferred
async def test_nothing_is_left_open_where_it_hangs(remote: RemoteTokens) -> None:
    remote.server.fault = hangs
    await refused_in_time(remote, remote.token(7))
    for _ in range(100):
        if not remote.server.open:
            return
        await deferLater(reactor, 0.02)
    raise AssertionError("the question is still open")
