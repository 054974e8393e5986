"""What a user sets: of a conversation, and whose single chats they refuse."""

from pytest_twisted import ensureDeferred

from imd.wire.bodies import (
    Block,
    ConversationSet,
    GroupQuit,
    ImMsg,
    ListBlocked,
    PresenceQuery,
    SubmitReadSeq,
    Unblock,
    UserPresence,
)
from imd.wire.commands import Command
from imd.wire.enums import MsgType
from imd.wire.results import Result
from imd.wire.single import single_group_id

from .conftest import LogInThree
from .daemon import Daemon
from .device import ANDROID, MAC, new_id, refusal, until
from .users import User, catch_up, hear, make_group


@ensureDeferred
async def test_what_i_set_of_a_conversation_my_other_devices_learn_and_nobody_else(
    shared: Daemon, log_in_three: LogInThree
) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    await until(lambda: shared.inbox(bob.uid) == [])
    await bob.phone.request(ConversationSet(group_id=group_id, is_shield=1))
    await bob.phone.request(ConversationSet(group_id=group_id, is_top=1))
    settings = [(await bob.desk.told(Command.CONVERSATION_NOTICE)).groups[0] for _ in range(2)]
    assert [(each.is_shield, each.is_top) for each in settings] == [(1, 0), (1, 1)]
    await bob.desk.request(ConversationSet(group_id=group_id, is_shield=1, is_top=1))
    await bob.desk.request(ConversationSet(group_id=group_id, is_shield=0))
    [told] = (await bob.phone.told(Command.CONVERSATION_NOTICE)).groups
    assert (told.is_shield, told.is_top) == (0, 1)
    assert await bob.phone.conversation(group_id) == told
    for device in (*alice, *bob, *carol):
        assert await device.told_all(Command.CONVERSATION_NOTICE)
    assert (await alice.phone.conversation(group_id)).is_top == 0
    await alice.desk.say("still heard", group=group_id)
    await hear("still heard", *bob)


@ensureDeferred
async def test_what_can_not_be_set_is_refused(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob)
    single = single_group_id(alice.uid, bob.uid)
    for wrong in ({"is_shield": 2}, {"is_top": -1}, {}):
        request = ConversationSet(group_id=group_id, **wrong)
        assert await refusal(bob.desk.request(request)) == Result.BAD_REQUEST
    assert await refusal(bob.desk.request(ConversationSet(group_id=single, is_top=1))) == Result.NOT_FOUND
    assert await refusal(carol.desk.request(ConversationSet(group_id=single, is_top=1))) == Result.FORBIDDEN
    assert await refusal(carol.desk.request(ConversationSet(group_id=group_id, is_top=1))) == Result.NOT_IN_GROUP
    await bob.desk.request(GroupQuit(group_id=group_id))
    await bob.desk.request(ConversationSet(group_id=group_id, is_shield=1))
    assert (await bob.phone.conversation(group_id)).is_shield == 1


async def try_to_write(sender: User, receiver: User) -> tuple[Result, Result]:
    """Return what a text and a passthrough are refused with."""
    typing = ImMsg(msg_id=new_id(), msg_type=MsgType.PASSTHROUGH, receiver_id=receiver.uid)
    return (
        await refusal(sender.desk.say("psst", to=receiver.uid)),
        await refusal(sender.phone.request(typing)),
    )


@ensureDeferred
async def test_whom_i_block_can_not_write_to_me_alone_until_i_lift_it(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    group_id = await make_group(alice, bob, carol)
    early = await alice.desk.say("early", to=bob.uid)
    for _ in range(2):
        await bob.phone.request(Block(uids=[carol.uid, alice.uid, alice.uid]))
    assert list((await bob.desk.request(ListBlocked())).uids) == sorted((alice.uid, carol.uid))
    assert await try_to_write(alice, bob) == (Result.BLOCKED, Result.BLOCKED)
    assert await try_to_write(carol, bob) == (Result.BLOCKED, Result.BLOCKED)
    await hear("early", *bob)
    await until(lambda: shared.inbox(bob.uid) == [])
    assert (await alice.desk.say("early", to=bob.uid, msg_id=early.msg_id)) == early
    await alice.desk.say("in the group", group=group_id)
    await hear("in the group", *bob)
    assert (await bob.desk.say("I may", to=alice.uid)).seq_id == 2
    await catch_up(alice)
    await alice.desk.request(SubmitReadSeq(group_id=early.group_id, read_seq=2))
    assert await alice.phone.unread(early.group_id) == 0
    assert [each.msg_body for each in await alice.phone.history(early.group_id)] == ["early", "I may"]

    for _ in range(2):
        await bob.desk.request(Unblock(uids=[alice.uid]))
    assert list((await bob.phone.request(ListBlocked())).uids) == [carol.uid]
    assert (await alice.desk.say("again", to=bob.uid)).seq_id == 3
    await hear("again", bob.desk)
    assert await try_to_write(carol, bob) == (Result.BLOCKED, Result.BLOCKED)
    conversations = (await carol.desk.conversations()).groups
    assert single_group_id(bob.uid, carol.uid) not in [group.group_id for group in conversations]


@ensureDeferred
async def test_whom_i_block_sees_me_as_offline(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, bob, carol = await log_in_three(shared)
    await bob.phone.request(Block(uids=[alice.uid]))
    query = PresenceQuery(uids=[bob.uid])
    assert list((await alice.desk.request(query)).users) == [UserPresence(uid=bob.uid)]
    online = UserPresence(uid=bob.uid, client_types=[ANDROID, MAC])
    assert list((await carol.desk.request(query)).users) == [online]
    await bob.phone.request(Unblock(uids=[alice.uid]))
    assert list((await alice.desk.request(query)).users) == [online]


@ensureDeferred
async def test_nobody_blocks_themselves_or_more_than_a_thousand(shared: Daemon, log_in_three: LogInThree) -> None:
    alice, *_ = await log_in_three(shared)
    assert await refusal(alice.desk.request(Block(uids=[alice.uid]))) == Result.BAD_REQUEST
    await alice.desk.request(Block(uids=range(10**6, 10**6 + 1000)))
    assert await refusal(alice.desk.request(Block(uids=[10**7]))) == Result.TOO_LARGE
    await alice.desk.request(Block(uids=[10**6]))
    assert list((await alice.phone.request(ListBlocked())).uids) == list(range(10**6, 10**6 + 1000))
    await alice.desk.request(Unblock(uids=range(10**6, 10**6 + 1000)))
    assert not (await alice.phone.request(ListBlocked())).uids
