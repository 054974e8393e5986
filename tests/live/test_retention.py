"""Retention: old messages go in the background, while everybody goes on."""

from pytest_twisted import ensureDeferred

from imd.wire.bodies import ImMsgAck, SubmitReadSeq
from imd.wire.commands import Command

from .conftest import LogIn, NewUid, StartDaemon
from .device import Device, eventually, message

KEEP_DAYS = 0.00002
KEEP_MS = 1728
OLD = 900
"""Messages for several steps."""


async def view(device: Device, group_id: str) -> tuple[int, list[int]]:
    """Return where a history begins, and the seqs that were pulled just before, without a gap."""
    pulled = [each.seq_id for each in await device.history(group_id)]
    if pulled:
        assert pulled == list(range(pulled[0], pulled[-1] + 1))
    return (await device.conversation(group_id)).init_seq, pulled


@ensureDeferred
async def test_old_messages_go_in_the_background_while_everybody_goes_on(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    daemon = start_daemon(IMD_MESSAGES_KEEP_DAYS=KEEP_DAYS)
    alice, bob, absent = await log_in(daemon, new_uid()), await log_in(daemon, new_uid()), new_uid()
    group_id = await alice.make_group("forgetful", bob.uid, absent)
    single = (await alice.say("in private", to=absent)).group_id
    asked = [alice.connection.request(Command.IM_SEND_MSG, message(f"{n}", group=group_id)) for n in range(2, OLD + 1)]
    last: ImMsgAck = [await ack for ack in asked][-1]
    assert (last.seq_id, await bob.unread(group_id)) == (OLD, OLD - 1)
    await bob.request(SubmitReadSeq(group_id=group_id, read_seq=100))
    await alice.await_time(last.send_time + KEEP_MS)
    daemon.terminate()
    assert daemon.wait() == 0

    daemon.start()
    alice, bob = await log_in(daemon, alice.uid), await log_in(daemon, bob.uid)
    said: list[int] = []
    seen = 0

    async def only_new_ones_are_left() -> bool:
        nonlocal seen
        said.append((await alice.say("go on", group=group_id)).seq_id)
        init_seq, pulled = await view(bob, group_id)
        assert seen <= init_seq <= OLD
        assert pulled[-1] == said[-1]
        assert pulled[0] <= init_seq + 1
        seen = init_seq
        return init_seq == OLD

    await eventually(only_new_ones_are_left)
    assert said == list(range(OLD + 1, OLD + 1 + len(said)))
    assert await view(bob, group_id) == (OLD, said)
    late = await log_in(daemon, absent)
    assert await view(late, group_id) == (OLD, said)
    for device in (bob, late):
        assert await device.unread(group_id) == len(said)

    async def the_single_chat_is_empty() -> bool:
        return await view(late, single) == (1, [])

    await eventually(the_single_chat_is_empty)
    emptied = await late.conversation(single)
    assert (emptied.max_seq, emptied.unread, emptied.HasField("last_message")) == (1, 0, False)
    assert all(of_group != single for of_group, _ in daemon.inbox(absent))
    assert (await alice.say("once more", to=absent)).seq_id == 2
    assert await view(late, single) == (1, [2])
    assert await late.unread(single) == 1
