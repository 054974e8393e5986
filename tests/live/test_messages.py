"""What messages are: their types, what is only passed through, and who is mentioned."""

from pytest_twisted import ensureDeferred

from imd.wire.bodies import GroupQuit, ImMsg, ImMsgAck, SubmitReadSeq
from imd.wire.enums import MsgType
from imd.wire.results import Result

from .conftest import LogIn, LogInThree
from .daemon import Daemon
from .device import MAC, Device, message, new_id, refusal, until
from .users import catch_up, hear, hear_op, make_group

KINDS = (*range(1, 9), 42, 101, 2**31 - 1)
"""Every type that a client may have stored, and some that this server does not know."""


def of_kind(msg_type: int, *, group: str = "", to: int = 0, at_uids: tuple[int, ...] = ()) -> ImMsg:
    """Return a message with all that a client may fill."""
    return ImMsg(
        msg_id=new_id(),
        msg_type=msg_type,
        msg_body='{"x": 1}',
        sender_name="A.",
        sender_remark="the first",
        group_id=group,
        receiver_id=to,
        extra="anything",
        attach_id=2**63 - 1,
        attach_type=3,
        attach_name="größe.png",
        attach_url="https://example.org/a?b=c",
        attach_size=2**40,
        at_uids=at_uids,
    )


@ensureDeferred
async def test_every_type_of_message_arrives_as_it_was_sent(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    sent = [of_kind(kind, group=group_id, at_uids=(bob.uid,)) for kind in KINDS]
    acks = [await alice.phone.request(each) for each in sent]
    for each, ack in zip(sent, acks, strict=True):
        each.sender_id, each.group_type, each.group_name = alice.uid, 2, "Tea"
        each.seq_id, each.send_time = ack.seq_id, ack.send_time
    for device in (alice.desk, *bob, *carol):
        is_mine = device.uid == alice.uid
        for each in sent:
            each.status = 0 if is_mine else -4
            assert await device.hear() == each
        assert await device.history(group_id, after=1) == sent
        assert await device.unread(group_id) == (0 if is_mine else len(KINDS))


@ensureDeferred
async def test_announcements_are_for_groups_and_for_their_chiefs(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    to_bob = of_kind(MsgType.ANNOUNCEMENT, to=bob.uid)
    assert await refusal(alice.desk.request(to_bob)) == Result.BAD_REQUEST
    announcement = of_kind(MsgType.ANNOUNCEMENT, group=group_id)
    assert await refusal(bob.desk.request(announcement)) == Result.FORBIDDEN
    assert (await alice.desk.request(announcement)).seq_id == 2


@ensureDeferred
async def test_what_is_passed_through_reaches_who_is_online_and_is_kept_nowhere(
    shared: Daemon, log_in_three: LogInThree, log_in: LogIn
) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    await alice.desk.say("said", group=group_id)
    await catch_up(alice, bob, carol)
    await until(lambda: shared.inbox(carol.uid) == [])
    for device in carol:
        await device.leave()
    typing = of_kind(MsgType.PASSTHROUGH, group=group_id)
    ack = await alice.desk.request(typing)
    assert ack == ImMsgAck(msg_id=typing.msg_id, group_id=group_id, send_time=ack.send_time)
    assert ack.send_time
    for device in (alice.phone, *bob):
        heard, _ = await device.see()
        assert (heard.msg_id, heard.seq_id, heard.msg_type) == (typing.msg_id, 0, MsgType.PASSTHROUGH)
        assert (heard.sender_id, heard.msg_body, heard.send_time) == (alice.uid, '{"x": 1}', ack.send_time)
        assert await device.heard_all()
        assert await device.unread(group_id) == (0 if device.uid == alice.uid else 1)
        assert len(await device.history(group_id)) == 2
        assert (await device.conversation(group_id)).last_message.msg_body == "said"
    assert await alice.desk.heard_all()
    assert shared.inbox(bob.uid) == shared.inbox(carol.uid) == []

    back = await log_in(shared, carol.uid, MAC)
    seen = await back.conversation(group_id)
    assert (seen.max_seq, seen.receive_seq, await back.unread(group_id)) == (2, 2, 1)
    assert await back.heard_all()
    assert (await alice.desk.say("next", group=group_id)).seq_id == 3


@ensureDeferred
async def test_what_is_passed_through_in_a_single_chat_makes_no_conversation(
    shared: Daemon, log_in_three: LogInThree
) -> None:
    alice, bob, carol = await log_in_three(shared)
    ack = await alice.desk.request(of_kind(MsgType.PASSTHROUGH, to=bob.uid))
    for device in (alice.phone, *bob):
        assert (await device.see())[0].msg_id == ack.msg_id
        assert ack.group_id not in [group.group_id for group in (await device.conversations()).groups]
    for device in carol:
        assert await device.heard_all()


@ensureDeferred
async def test_who_is_out_of_a_group_passes_nothing_through(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob)
    await bob.desk.request(GroupQuit(group_id=group_id))
    await hear_op("quit", alice, bob)
    for outsider in (bob, carol):
        typing = of_kind(MsgType.PASSTHROUGH, group=group_id)
        assert await refusal(outsider.phone.request(typing)) == Result.NOT_IN_GROUP
    await alice.desk.say("alone", group=group_id)
    await hear("alone", alice.phone)


@ensureDeferred
async def test_the_newest_unread_mention_of_me_or_of_all_is_told(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)

    async def mention(sender: Device, *at_uids: int) -> int:
        said = message("look", group=group_id)
        said.at_uids.extend(at_uids)
        return int((await sender.request(said)).seq_id)

    async def at_seqs() -> list[int]:
        return [(await user.phone.conversation(group_id)).at_seq for user in (alice, bob, carol)]

    assert await mention(alice.desk, bob.uid) == 2
    assert await at_seqs() == [0, 2, 0]
    assert await mention(carol.desk, bob.uid, alice.uid) == 3
    assert await at_seqs() == [3, 3, 0]
    assert await refusal(mention(carol.desk, 0)) == Result.FORBIDDEN
    assert await mention(alice.desk, 0) == 4
    assert await at_seqs() == [3, 4, 4]
    await bob.desk.say("nobody", group=group_id)
    await bob.phone.request(SubmitReadSeq(group_id=group_id, read_seq=3))
    await carol.phone.request(SubmitReadSeq(group_id=group_id, read_seq=4))
    assert await at_seqs() == [3, 4, 0]
