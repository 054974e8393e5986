"""Coming back after being offline, and what is pushed again."""

from pytest_twisted import ensureDeferred

from imd.wire.bodies import ImMsgAck, MsgAck, PullMsg, UserData
from imd.wire.commands import Command
from imd.wire.enums import SYSTEM_GROUP

from .conftest import LogIn, NewUid, StartDaemon
from .daemon import Daemon
from .device import message, until


@ensureDeferred
async def test_what_was_missed_is_listed_pulled_by_pages_and_acked(
    daemon: Daemon, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, uid = await log_in(daemon, new_uid()), new_uid()
    sent = [alice.connection.request(Command.IM_SEND_MSG, message(f"{n}", to=uid)) for n in range(250)]
    *_, last = [await ack for ack in sent]
    group_id = last.group_id

    bob = await log_in(daemon, uid)
    listed = await bob.conversation(group_id)
    assert (listed.max_seq, listed.receive_seq, listed.unread) == (250, 0, 250)
    assert listed.last_message.msg_body == "249"
    missed = await bob.history(group_id, after=listed.receive_seq, page_size=100)
    assert [(each.seq_id, each.msg_body) for each in missed] == [(n + 1, f"{n}") for n in range(250)]
    assert await bob.heard_all()

    bob.connection.tell(Command.IM_MSG_ACK, MsgAck(acks=[ImMsgAck(group_id=group_id, seq_id=250)]))
    await until(lambda: daemon.inbox(uid) == [])
    assert (await bob.conversation(group_id)).receive_seq == 250


@ensureDeferred
async def test_what_was_pulled_and_acked_is_never_pushed_again(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    daemon = start_daemon(IMD_DELIVERY_SWEEP_SECONDS=0.3, IMD_DELIVERY_SWEEP_ATTEMPTS=100)
    alice, uid = await log_in(daemon, new_uid()), new_uid()
    *_, last = [await alice.say("missed", to=uid) for _ in range(5)]
    group_id = last.group_id
    bob = await log_in(daemon, uid)
    bob.connection.tell(Command.IM_MSG_ACK, MsgAck(acks=[ImMsgAck(group_id=group_id, seq_id=5)]))
    await until(lambda: daemon.inbox(uid) == [])

    await alice.say("marker", to=uid)
    seen = [(await bob.see())[0] for _ in range(3)]
    assert {each.msg_body for each in seen} == {"marker"}
    await bob.leave()
    bob = await log_in(daemon, uid)
    assert {(await bob.see())[0].msg_body for _ in range(2)} == {"marker"}


@ensureDeferred
async def test_a_gap_is_filled_by_its_two_ends(daemon: Daemon, log_in: LogIn, new_uid: NewUid) -> None:
    alice, uid = await log_in(daemon, new_uid()), new_uid()
    *_, last = [await alice.say(f"{n}", to=uid) for n in range(1, 21)]
    bob = await log_in(daemon, uid)
    pull = PullMsg(group_id=last.group_id, receive_seq_id=9, before_seq_id=13)
    gap = await bob.ask(Command.IM_OFFLINE_MSG, pull, UserData)
    assert ([each.seq_id for each in gap.messages], gap.has_more) == ([10, 11, 12], False)


@ensureDeferred
async def test_since_lists_only_what_has_changed(daemon: Daemon, log_in: LogIn, new_uid: NewUid) -> None:
    alice, bob = await log_in(daemon, new_uid()), await log_in(daemon, new_uid())
    old = await alice.make_group("old", bob.uid)
    since = (await bob.conversations()).server_time
    # The time is early on purpose, so `old` may be listed until that margin is over.
    new = await alice.make_group("new", bob.uid)
    listed = [group.group_id for group in (await bob.conversations(since)).groups]
    assert listed[0] == new
    assert set(listed) <= {old, new, SYSTEM_GROUP}
    assert not (await bob.conversations(since + 3_600_000)).groups


@ensureDeferred
async def test_the_conversations_survive_a_restart(start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid) -> None:
    daemon = start_daemon()
    alice, uid = await log_in(daemon, new_uid()), new_uid()
    single = (await alice.say("in private", to=uid)).group_id
    group = await alice.make_group("with a name", uid)
    await alice.say("in public", group=group)
    daemon.terminate()
    assert daemon.wait() == 0
    daemon.start()
    bob = await log_in(daemon, uid)
    listed = {each.group_id: each for each in (await bob.conversations()).groups}
    assert set(listed) == {single, group, SYSTEM_GROUP}
    assert (listed[group].group_name, listed[group].last_message.msg_body) == ("with a name", "in public")
    assert [each.msg_body for each in await bob.history(single)] == ["in private"]
    alice = await log_in(daemon, alice.uid)
    assert (await alice.say("still here", group=group)).seq_id == 3


@ensureDeferred
async def test_a_push_without_an_ack_is_pushed_again_and_the_ack_of_any_of_them_counts(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    daemon = start_daemon(IMD_DELIVERY_SWEEP_SECONDS=0.3)
    alice, bob = await log_in(daemon, new_uid()), await log_in(daemon, new_uid())
    sent = await alice.say("did you get this?", to=bob.uid)
    first, trace_id = await bob.see()
    again, _ = await bob.see()
    assert first.msg_id == again.msg_id == sent.msg_id
    assert first.seq_id == again.seq_id
    bob.connection.acknowledge(trace_id)
    await until(lambda: daemon.inbox(bob.uid) == [])


@ensureDeferred
async def test_who_never_acks_is_closed_after_three_attempts_and_keeps_the_message(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    daemon = start_daemon(IMD_DELIVERY_SWEEP_SECONDS=0.3)
    alice, bob = await log_in(daemon, new_uid()), await log_in(daemon, new_uid())
    await alice.say("listen!", to=bob.uid)
    seen = [(await bob.see())[0].msg_body for _ in range(4)]
    assert seen == ["listen!"] * 4
    await bob.end()
    assert "did not ACK" in daemon.log
    bob = await log_in(daemon, bob.uid)
    assert (await bob.hear()).msg_body == "listen!"
