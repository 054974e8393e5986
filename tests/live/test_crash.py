"""kill -9 under load: what was ACKed is there, once, and nothing has a gap."""

import random
from collections import deque

from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from imd.client.errors import ClientError
from imd.wire.bodies import ImMsg
from imd.wire.commands import Command

from .conftest import LogIn, NewUid, StartDaemon
from .device import Device, message, reactor, until

ROUNDS = 4
PAIRS = 6
WINDOW = 8


class Speaker:
    """Speaks into one conversation through every crash; what had no ACK is said again, under the same msg_id."""

    def __init__(self, uid: int, *, to: int = 0, group: str = "") -> None:
        self.uid = uid
        self.conversation = group
        self.receiver = to
        self.acked: dict[str, int] = {}
        self.said: list[str] = []
        self._again: deque[ImMsg] = deque()

    async def speak(self, device: Device, *, only_again: bool = False) -> None:
        """Keep WINDOW messages on their way until the connection ends."""
        await gatherResults([Deferred.fromCoroutine(self._one_by_one(device, only_again)) for _ in range(WINDOW)])

    async def _one_by_one(self, device: Device, only_again: bool) -> None:
        while self._again or not only_again:
            if self._again:
                next_ = self._again.popleft()
            else:
                next_ = message(f"{len(self.said)}", to=self.receiver, group=self.conversation)
                self.said.append(next_.msg_id)
            try:
                ack = await device.connection.request(Command.IM_SEND_MSG, next_)
            except ClientError:
                self._again.append(next_)
                return
            assert self.acked.setdefault(ack.msg_id, ack.seq_id) == ack.seq_id


def acked(speakers: list[Speaker]) -> int:
    """Count the ACKs so far."""
    return sum(len(speaker.acked) for speaker in speakers)


@ensureDeferred
async def test_kill_9_loses_no_acked_message_and_doubles_none(
    start_daemon: StartDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    daemon = start_daemon()
    rng = random.Random(20251123)
    uids = [new_uid() for _ in range(PAIRS)]
    offline = [new_uid() for _ in range(PAIRS)]
    group = await (await log_in(daemon, uids[0])).make_group("everybody", *uids[1:], *offline)
    speakers = [Speaker(uid, to=to) for uid, to in zip(uids, offline, strict=True)]
    speakers += [Speaker(uid, group=group) for uid in uids[:2]]

    for _ in range(ROUNDS):
        devices = {uid: await log_in(daemon, uid) for uid in uids}
        before = acked(speakers)
        rounds = [Deferred.fromCoroutine(speaker.speak(devices[speaker.uid])) for speaker in speakers]
        await until(lambda before=before: acked(speakers) > before)  # type: ignore[misc]
        await deferLater(reactor, rng.uniform(0, 0.5))
        daemon.kill()
        await gatherResults(rounds)
        daemon.start()

    devices = {uid: await log_in(daemon, uid) for uid in uids}
    for speaker in speakers:
        await speaker.speak(devices[speaker.uid], only_again=True)
    for speaker, receiver in zip(speakers, [*offline, offline[0], offline[0]], strict=True):
        group_id = speaker.conversation or f"{speaker.uid}_{speaker.receiver}"
        stored = await devices[speaker.uid].history(group_id)
        mine = {each.msg_id: each.seq_id for each in stored if each.sender_id == speaker.uid and each.msg_type == 1}
        assert [each.seq_id for each in stored] == list(range(1, len(stored) + 1))
        assert sorted(mine) == sorted(speaker.said)
        assert mine == speaker.acked
        inbox = [seq_id for of_group, seq_id in daemon.inbox(receiver) if of_group == group_id]
        assert inbox == [each.seq_id for each in stored]
