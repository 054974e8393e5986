"""Sessions: login, replacement, kick, logout, expiry."""

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from imd.client.errors import ResultError
from imd.sso.jwt import issue
from imd.wire.bodies import Heartbeat, KickUser, KickUserAck, UserLogout
from imd.wire.commands import Command
from imd.wire.results import KickReason, Result

from .conftest import LogIn, NewUid, StartDaemon
from .daemon import Daemon
from .device import ANDROID, LINUX, MAC, Device, until
from .peer import Peer


@ensureDeferred
async def test_the_answer_to_a_login_tells_the_intervals_and_the_limit(daemon: Daemon, new_uid: NewUid) -> None:
    device = Device(new_uid(), LINUX)
    answer = await device.login(daemon)
    await device.leave()
    assert (answer.heartbeat_seconds, answer.idle_seconds, answer.max_body) == (5, 15, 2**20)
    assert answer.node == "imd1"
    assert answer.session_id
    assert answer.server_time > 1_700_000_000_000


@ensureDeferred
async def test_after_a_refused_login_another_token_can_be_tried(daemon: Daemon, new_uid: NewUid) -> None:
    device = Device(new_uid(), LINUX)
    with pytest.raises(ResultError) as refused:
        await device.login(daemon, issue(b"another secret, " * 4, device.uid, 2_000_000_000, 3600))
    assert refused.value.result == Result.AUTH_FAILED
    with pytest.raises(ResultError) as refused:
        await device.connection.login(device.uid, daemon.token(device.uid, seconds=-1))
    assert refused.value.result == Result.AUTH_EXPIRED
    assert (await device.connection.login(device.uid, daemon.token(device.uid))).session_id
    await device.leave()


@ensureDeferred
async def test_another_users_token_is_refused(daemon: Daemon, log_in: LogIn, new_uid: NewUid) -> None:
    mine, theirs = new_uid(), new_uid()
    with pytest.raises(ResultError) as refused:
        await log_in(daemon, mine, token=daemon.token(theirs))
    assert refused.value.result == Result.AUTH_FAILED


@ensureDeferred
async def test_a_newer_login_replaces_the_older_of_its_kind_alone_and_tells_it(
    daemon: Daemon, log_in: LogIn, new_uid: NewUid
) -> None:
    uid = new_uid()
    old, phone = await log_in(daemon, uid, LINUX), await log_in(daemon, uid, ANDROID)
    new = await log_in(daemon, uid, LINUX)
    assert (await old.told(Command.USER_KICK)).reason == KickReason.REPLACED
    await old.end()
    bob = await log_in(daemon, new_uid())
    await bob.say("who is there?", to=uid)
    assert (await new.hear()).msg_body == (await phone.hear()).msg_body == "who is there?"


@ensureDeferred
async def test_of_many_logins_at_once_one_remains_and_the_others_are_told(
    daemon: Daemon, log_in: LogIn, new_uid: NewUid
) -> None:
    uid = new_uid()
    rivals = [Device(uid, LINUX) for _ in range(5)]
    await gatherResults([Deferred.fromCoroutine(rival.login(daemon)) for rival in rivals])
    await until(lambda: sum(rival.closed.called for rival in rivals) == 4)
    for rival in rivals:
        if rival.closed.called:
            assert (await rival.told(Command.USER_KICK)).reason == KickReason.REPLACED
    [winner] = [rival for rival in rivals if not rival.closed.called]
    bob = await log_in(daemon, new_uid())
    await bob.say("who is there?", to=uid)
    assert (await winner.hear()).msg_body == "who is there?"
    await winner.leave()


@ensureDeferred
async def test_an_admin_ends_a_users_sessions_with_a_word(daemon: Daemon, log_in: LogIn, new_uid: NewUid) -> None:
    uid, boss = new_uid(), new_uid()
    sessions = [await log_in(daemon, uid, client_type) for client_type in (LINUX, ANDROID, MAC)]
    admin = await log_in(daemon, boss, token=daemon.token(boss, is_admin=True))
    one = await admin.ask(Command.USER_KICK, KickUser(uid=uid, client_type=MAC, message="not here"), KickUserAck)
    rest = await admin.ask(Command.USER_KICK, KickUser(uid=uid, message="go home"), KickUserAck)
    assert (one.sessions, rest.sessions) == (1, 2)
    for session, word in zip(sessions, ("go home", "go home", "not here"), strict=True):
        kick = await session.told(Command.USER_KICK)
        assert (kick.reason, kick.message) == (KickReason.ADMIN, word)
        await session.end()


@ensureDeferred
async def test_who_is_no_admin_kicks_nobody(daemon: Daemon, log_in: LogIn, new_uid: NewUid) -> None:
    alice, bob = await log_in(daemon, new_uid()), await log_in(daemon, new_uid())
    with pytest.raises(ResultError) as refused:
        await alice.ask(Command.USER_KICK, KickUser(uid=bob.uid), KickUserAck)
    assert refused.value.result == Result.FORBIDDEN
    assert await bob.heard_all()


@ensureDeferred
async def test_after_a_logout_the_connection_is_as_before_login(daemon: Daemon, log_in: LogIn, new_uid: NewUid) -> None:
    alice, bob = await log_in(daemon, new_uid()), await log_in(daemon, new_uid())
    await alice.ask(Command.USER_LOGOUT, UserLogout(), Heartbeat)
    with pytest.raises(ResultError) as refused:
        await alice.say("still me?", to=bob.uid)
    assert refused.value.result == Result.NOT_LOGGED_IN
    await bob.say("are you there?", to=alice.uid)
    await alice.connection.login(alice.uid, daemon.token(alice.uid), LINUX)
    assert [each.msg_body for each in await alice.history(f"{alice.uid}_{bob.uid}")] == ["are you there?"]


@ensureDeferred
async def test_a_session_ends_with_its_token_and_is_told(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    daemon = start_daemon(IMD_GATEWAY_HEARTBEAT_SECONDS=1, IMD_GATEWAY_IDLE_SECONDS=3)
    uid = new_uid()
    device = await log_in(daemon, uid, token=daemon.token(uid, seconds=2))
    assert (await device.told(Command.USER_KICK)).reason == KickReason.TOKEN_EXPIRED
    await device.end()


@ensureDeferred
async def test_heartbeats_keep_a_silent_session_and_silence_ends_it(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    daemon = start_daemon(IMD_GATEWAY_HEARTBEAT_SECONDS=1, IMD_GATEWAY_IDLE_SECONDS=2.5)
    alive, mute = await log_in(daemon, new_uid()), Peer(daemon)
    mute.login(new_uid())
    await deferToThread(mute.await_close)
    assert await alive.heard_all()


@ensureDeferred
async def test_no_token_is_in_the_log(start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid) -> None:
    daemon = start_daemon()
    uid = new_uid()
    good, bad = daemon.token(uid), daemon.token(new_uid())
    device = await log_in(daemon, uid, token=good)
    with pytest.raises(ResultError):
        await log_in(daemon, uid, token=bad)
    await device.leave()
    daemon.terminate()
    assert daemon.wait() == 0
    assert "stopped" in daemon.log
    for token in (good, bad):
        assert not [part for part in token.split(".")[1:] if part in daemon.log]
