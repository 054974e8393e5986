"""Receipts and read marks: who learns what has reached whom and was read, and what is unread."""

from pytest_twisted import ensureDeferred

from imd.wire.bodies import (
    GroupInvite,
    GroupMembers,
    ImMsg,
    IssueReadSeq,
    ListMsgReader,
    ListMsgReaderAck,
    SubmitReadSeq,
)
from imd.wire.commands import Command
from imd.wire.enums import Status
from imd.wire.results import Result

from .conftest import LogInThree, NewUid
from .daemon import Daemon
from .device import Device, new_id, refusal
from .users import User, catch_up, hear, make_group


async def read(device: Device, group_id: str, read_seq: int) -> None:
    await device.request(SubmitReadSeq(group_id=group_id, read_seq=read_seq))


async def learn(user: User, group_id: str, *expected: tuple[int, int, int]) -> None:
    """Wait until both devices are told of each (uid, receive_seq, read_seq), in whatever order."""
    for device in user:
        missing = set(expected)
        while missing:
            receipt = await device.told(Command.ISSUE_RECEIPT)
            assert receipt.group_id == group_id
            missing.discard((receipt.uid, receipt.receive_seq, receipt.read_seq))


@ensureDeferred
async def test_in_a_single_chat_the_sender_learns_what_has_arrived_and_what_was_read(
    shared: Daemon, log_in_three: LogInThree
) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = (await alice.desk.say("one", to=bob.uid)).group_id
    await hear("one", bob.phone)
    await learn(alice, group_id, (bob.uid, 1, 0))
    await alice.desk.say("two", to=bob.uid)
    await hear("two", bob.phone)
    await learn(alice, group_id, (bob.uid, 2, 0))
    await read(bob.desk, group_id, 1)
    await learn(alice, group_id, (bob.uid, 2, 1))
    assert await carol.phone.told_all(Command.ISSUE_RECEIPT)
    assert await bob.phone.told_all(Command.ISSUE_RECEIPT)
    seen = await alice.phone.conversation(group_id)
    assert (seen.peer_receive_seq, seen.peer_read_seq) == (2, 1)


@ensureDeferred
async def test_in_a_group_those_whose_messages_are_covered_learn_it(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    await catch_up(alice, bob, carol)
    await bob.phone.say("mine", group=group_id)
    await hear("mine", alice.phone, carol.desk)
    await learn(bob, group_id, (alice.uid, 2, 0), (carol.uid, 2, 0))
    await read(carol.phone, group_id, 2)
    await learn(bob, group_id, (carol.uid, 2, 2))
    await learn(alice, group_id, (carol.uid, 2, 2))  # whose group it is: the first message tells so
    await alice.desk.say("hers", group=group_id)
    await read(carol.phone, group_id, 3)
    await learn(alice, group_id, (carol.uid, 3, 3))
    for device in bob:
        assert await device.told_all(Command.ISSUE_RECEIPT)
    members = (await bob.desk.request(GroupMembers(group_id=group_id))).members
    assert {member.uid: member.read_seq for member in members} == {alice.uid: 0, bob.uid: 0, carol.uid: 3}


@ensureDeferred
async def test_in_a_large_group_nobody_is_told_and_everybody_may_ask(
    shared: Daemon, log_in_three: LogInThree, new_uid: NewUid
) -> None:
    alice, bob, carol = await log_in_three(shared)
    others = (new_uid(), new_uid(), new_uid())
    group_id = await make_group(alice, bob, carol, uids=others)
    single = (await alice.desk.say("in private", to=bob.uid)).group_id
    await catch_up(alice, bob, carol)
    await alice.desk.say("in public", group=group_id)
    await hear("in public", bob.phone)
    await read(bob.phone, group_id, 2)
    await read(bob.phone, single, 1)
    while (receipt := await alice.desk.told(Command.ISSUE_RECEIPT)).read_seq == 0:
        assert receipt.group_id == single
    assert receipt.group_id == single
    assert await alice.desk.told_all(Command.ISSUE_RECEIPT)
    readers = await alice.desk.request(ListMsgReader(group_id=group_id, seq_id=2))
    assert readers == ListMsgReaderAck(readers=[bob.uid], unreaders=sorted((carol.uid, *others)))


@ensureDeferred
async def test_my_other_devices_learn_how_far_i_have_read_when_that_rises(
    shared: Daemon, log_in_three: LogInThree
) -> None:
    alice, bob, _ = await log_in_three(shared)
    group_id = ""
    for n in range(1, 4):
        group_id = (await alice.desk.say(f"{n}", to=bob.uid)).group_id
    await read(bob.phone, group_id, 2)
    assert await bob.desk.told(Command.ISSUE_READ_SEQ) == IssueReadSeq(group_id=group_id, read_seq=2)
    await read(bob.phone, group_id, 1)
    await read(bob.desk, group_id, 2**63 - 1)
    assert await bob.phone.told(Command.ISSUE_READ_SEQ) == IssueReadSeq(group_id=group_id, read_seq=3)
    for device in bob:
        assert await device.told_all(Command.ISSUE_READ_SEQ)
        assert (await device.conversation(group_id)).read_seq == 3
    assert shared.inbox(bob.uid) == []


@ensureDeferred
async def test_a_message_is_my_own_or_read_or_not_read_yet(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    await alice.desk.say("one", group=group_id)
    pushed = [(await device.hear()).status for device in (alice.phone, bob.phone, carol.desk)]
    mine, old, new = Status.SUCCESS, Status.READ, Status.UNREAD
    assert pushed == [mine, new, new]
    await bob.desk.say("two", group=group_id)
    await read(bob.phone, group_id, 2)
    await carol.desk.say("three", group=group_id)
    pulled = [[each.status for each in await user.phone.history(group_id)] for user in (alice, bob, carol)]
    assert pulled == [[mine, mine, new, new], [old, old, mine, new], [new, new, new, mine]]
    assert (await bob.desk.conversation(group_id)).last_message.status == new
    await read(bob.desk, group_id, 4)
    assert (await bob.desk.conversation(group_id)).last_message.status == old


@ensureDeferred
async def test_readers_are_listed_without_the_sender_and_without_who_came_later(
    shared: Daemon, log_in_three: LogInThree
) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob)
    early = await alice.desk.say("early", group=group_id)
    await alice.desk.request(GroupInvite(group_id=group_id, member_ids=[carol.uid]))
    late = await bob.desk.say("late", group=group_id)

    async def readers(device: Device, seq_id: int) -> tuple[list[int], list[int]]:
        answer = await device.request(ListMsgReader(group_id=group_id, seq_id=seq_id))
        return list(answer.readers), list(answer.unreaders)

    assert await readers(alice.phone, early.seq_id) == ([], [bob.uid])
    assert await readers(bob.phone, late.seq_id) == ([], [alice.uid, carol.uid])
    await read(bob.phone, group_id, early.seq_id)
    await read(carol.desk, group_id, late.seq_id)
    assert await readers(alice.phone, early.seq_id) == ([bob.uid], [])
    assert await readers(carol.phone, late.seq_id) == ([carol.uid], [alice.uid])
    asked = ListMsgReader(group_id=group_id, seq_id=early.seq_id)
    assert await refusal(carol.phone.request(asked)) == Result.NOT_FOUND


@ensureDeferred
async def test_readers_of_a_single_chat_are_its_other_one(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = (await alice.desk.say("one", to=bob.uid)).group_id
    asked = ListMsgReader(group_id=group_id, seq_id=1)
    assert await alice.phone.request(asked) == ListMsgReaderAck(unreaders=[bob.uid])
    await read(bob.phone, group_id, 1)
    assert await bob.phone.request(asked) == ListMsgReaderAck(readers=[bob.uid])
    assert await refusal(carol.phone.request(asked)) == Result.FORBIDDEN


@ensureDeferred
async def test_unread_is_what_others_said_since_and_the_same_wherever_it_is_asked(
    shared: Daemon, log_in_three: LogInThree
) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    for said in range(1, 4):
        await alice.desk.say(f"{said}", group=group_id)
        assert [await user.phone.unread(group_id) for user in (alice, bob, carol)] == [0, said, said]
    silent = ImMsg(msg_id=new_id(), msg_type=1, msg_body="psst", group_id=group_id, whether_non_count=1)
    await alice.desk.request(silent)
    assert await bob.phone.unread(group_id) == 3
    await bob.desk.say("four", group=group_id)
    assert [await user.phone.unread(group_id) for user in (alice, bob, carol)] == [1, 3, 4]
    await read(bob.desk, group_id, 2)
    await read(carol.desk, group_id, 4)
    assert [await user.desk.unread(group_id) for user in (alice, bob, carol)] == [1, 2, 1]
    for user in (alice, bob, carol):
        await read(user.phone, group_id, 2**63 - 1)
        assert await user.desk.unread(group_id) == 0
