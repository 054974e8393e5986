"""kill -9 while everything is changed: what was answered holds afterwards, and what is unread is right."""

import random
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from google.protobuf.message import Message
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from imd.client.errors import ClientError, ResultError
from imd.wire.bodies import (
    DeleteMsg,
    GroupCreate,
    GroupJoin,
    GroupMute,
    NoticeMsgAck,
    PullNotice,
    RevokeMsg,
    SubmitReadSeq,
)
from imd.wire.commands import Command
from imd.wire.enums import JoinPolicy, MsgStatus
from imd.wire.results import Result

from .conftest import LogIn, NewUid, StartDaemon
from .device import Device, eventually, message, reactor, until

ROUNDS = 2
MORE = 5
"""Requests of each stream that have to be answered in a round."""

MESSAGES = 300
GROUPS = 50
UNTIL = 2**53


class Stream:
    """Sends requests one after the other until the connection ends; ``answered`` are those that were."""

    def __init__(self, uid: int, requests: Iterable[Message]) -> None:
        self.uid = uid
        self.answered: list[Any] = []
        self._requests: Iterator[Message] = iter(requests)

    async def flow(self, device: Device) -> None:
        """Go on until the connection ends."""
        for request in self._requests:
            try:
                await device.request(request)
            except ResultError as error:
                if error.result != Result.FORBIDDEN:  # the answer of who has to be approved
                    raise
            except ClientError:
                return
            self.answered.append(request)


def have_answered(streams: list[Stream], counts: list[int]) -> bool:
    return all(len(stream.answered) >= count for stream, count in zip(streams, counts, strict=True))


async def check(devices: dict[int, Device], group_id: str, streams: list[Stream]) -> None:
    """See that all that was answered holds."""
    said, reads, revokes, deletes, mutes, joins = (stream.answered for stream in streams)
    owner, reader, remover = devices.values()
    stored = {each.msg_id: each for each in await owner.history(group_id)}
    assert [each.seq_id for each in stored.values()] == list(range(1, len(stored) + 1))
    assert stored.keys() >= {each.msg_id for each in said}
    assert all(stored[each.msg_id].msg_status == MsgStatus.REVOKED for each in revokes)
    assert (await reader.conversation(group_id)).read_seq >= max((each.read_seq for each in reads), default=0)
    assert (await remover.conversation(group_id)).mute_until >= max((each.until for each in mutes), default=0)
    seen = {each.seq_id: each.msg_status for each in await remover.history(group_id)}
    assert all(seen[seq_id] == MsgStatus.DELETED for each in deletes for seq_id in each.seq_ids)
    notices = (await owner.request(PullNotice(page_size=100))).notices
    asked = b"".join(notice.payload for notice in notices)
    assert all(each.group_id.encode() in asked for each in joins)
    for device in devices.values():
        await device.unread(group_id)  # it is the same wherever it is asked, and as counted in what is pulled


@ensureDeferred
async def test_kill_9_loses_no_change_that_was_answered(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    daemon = start_daemon()
    rng = random.Random(20251124)
    alice, bob, carol, dave = uids = [new_uid() for _ in range(4)]
    owner = await log_in(daemon, alice)
    group_id = await owner.make_group("everybody", bob, carol, dave)
    first = [await owner.say(f"{n}", group=group_id) for n in range(MESSAGES)]
    request = GroupCreate(group_name="closed", join_policy=JoinPolicy.APPROVAL)
    closed = [(await owner.request(request)).groups[0].group_id for _ in range(GROUPS)]
    await owner.leave()

    streams = [
        Stream(alice, [message(f"more {n}", group=group_id) for n in range(MESSAGES)]),
        Stream(bob, [SubmitReadSeq(group_id=group_id, read_seq=n) for n in range(1, MESSAGES)]),
        Stream(alice, [RevokeMsg(group_id=group_id, msg_id=each.msg_id) for each in rng.sample(first, MESSAGES)]),
        Stream(carol, [DeleteMsg(group_id=group_id, seq_ids=[n]) for n in rng.sample(range(1, MESSAGES), 200)]),
        Stream(alice, [GroupMute(group_id=group_id, uid=carol, until=UNTIL + n) for n in range(MESSAGES)]),
        Stream(bob, [GroupJoin(group_id=each) for each in closed]),
    ]
    for _ in range(ROUNDS):
        devices = {uid: await log_in(daemon, uid) for uid in uids[:3]}
        enough = partial(have_answered, streams, [len(stream.answered) + MORE for stream in streams])
        flows = [Deferred.fromCoroutine(stream.flow(devices[stream.uid])) for stream in streams]
        await until(enough)
        await deferLater(reactor, rng.uniform(0, 0.2))
        daemon.kill()
        await gatherResults(flows)
        daemon.start()
        await check({uid: await log_in(daemon, uid) for uid in uids[:3]}, group_id, streams)
    absent = await log_in(daemon, dave)
    assert await absent.unread(group_id) > 0


@ensureDeferred
async def test_kill_9_brings_no_acknowledged_notice_back(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    daemon = start_daemon()
    owner, applicant = await log_in(daemon, new_uid()), await log_in(daemon, new_uid())
    for name in ("kept", "acknowledged"):
        group_id = await owner.make_group(name, join_policy=JoinPolicy.APPROVAL)
        await Stream(applicant.uid, [GroupJoin(group_id=group_id)]).flow(applicant)
    kept, acknowledged = [await owner.told(Command.NOTICE_MSG) for _ in range(2)]
    owner.connection.tell(Command.NOTICE_MSG_ACK, NoticeMsgAck(notice_ids=[acknowledged.notice_id]))

    async def is_gone() -> bool:
        return len((await owner.request(PullNotice())).notices) == 1

    await eventually(is_gone)
    daemon.kill()
    daemon.start()
    back = await log_in(daemon, owner.uid)
    assert list((await back.request(PullNotice())).notices) == [kept]
