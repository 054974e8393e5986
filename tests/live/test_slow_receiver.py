"""Backpressure: who doesn't read is dropped, and loses nothing."""

import socket

from pytest_twisted import ensureDeferred

from imd.wire.bodies import ImMsgAck, MsgAck
from imd.wire.commands import Command

from .conftest import LogIn, NewUid, StartDaemon
from .device import message, until
from .peer import Peer


@ensureDeferred
async def test_who_does_not_read_is_dropped_and_finds_everything_later(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    daemon = start_daemon(IMD_GATEWAY_MAX_UNSENT=256 * 1024)
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.connect(("127.0.0.1", daemon.port))
    uid = new_uid()
    deaf = Peer(daemon, small)
    deaf.login(uid)
    alice, bob = await log_in(daemon, new_uid()), await log_in(daemon, new_uid())
    sent = 0
    while "does not read" not in daemon.log:
        ack = await alice.say("x" * 64 * 1024, to=uid)
        sent += 1
        assert sent < 500, "nobody was dropped"
    deaf.await_close()

    await alice.say("can you hear me?", to=bob.uid)
    assert (await bob.hear()).msg_body == "can you hear me?"
    back = await log_in(daemon, uid)
    assert [each.seq_id for each in await back.history(ack.group_id)] == list(range(1, sent + 1))
    assert len(daemon.inbox(uid)) == sent
    back.connection.tell(Command.IM_MSG_ACK, MsgAck(acks=[ImMsgAck(group_id=ack.group_id, seq_id=sent)]))
    await until(lambda: daemon.inbox(uid) == [])


@ensureDeferred
async def test_who_leaves_too_many_pushes_without_an_ack_is_dropped(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    daemon = start_daemon(IMD_DELIVERY_MAX_UNACKED=100)
    alice, bob = await log_in(daemon, new_uid()), await log_in(daemon, new_uid())
    sent = [alice.connection.request(Command.IM_SEND_MSG, message("?", to=bob.uid)) for _ in range(101)]
    assert [(await ack).seq_id for ack in sent] == list(range(1, 102))
    await bob.end()
    assert "without an ACK" in daemon.log
    assert len(daemon.inbox(bob.uid)) == 101
