"""Opening the app: a user with many conversations lists them, all of them or those with a change."""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from imd.cli.bench.asker import Asker
from imd.cli.bench.chat import STALLED_SECONDS, Quota, Sender
from imd.cli.bench.ledger import Stream
from imd.cli.bench.load import LOGIN_WINDOW, Connection, Loop, Target
from imd.cli.bench.outcome import Outcome, Progress, spread
from imd.cli.bench.pairs import BODY, ordered_ids
from imd.cli.bench.server import Meter, resident_bytes
from imd.cli.bench.wire import LoadError
from imd.wire.bodies import ImGroup, ImMsg, ImMsgAck, ListGroup, MsgAck, UnreadCount, UnreadCountAck, UserData
from imd.wire.commands import Command
from imd.wire.enums import GroupType, MsgType
from imd.wire.packet import Packet, encode
from imd.wire.single import single_group_id

_PAGE = 500
"""Conversations of one page: the most the server gives."""
_ACKS = 1000
"""Conversations that one IM_MSG_ACK names."""
_SETTLE_SECONDS = 15.0
_POLL_SECONDS = 0.1


class Caller(Sender):
    """Logs in, sends ``count`` messages, and leaves once they are answered; ``open_callers`` holds it so long."""

    __slots__ = ("_count", "_open_callers")

    def __init__(
        self, loop: Loop, uid: int, stream: Stream, receiver: int, count: int, open_callers: "set[Caller]"
    ) -> None:
        message = ImMsg(msg_type=MsgType.TEXT, msg_body=BODY, receiver_id=receiver)
        super().__init__(loop, uid, stream, message, ordered_ids(loop.rng), Quota(count), window=0)
        self._count = count
        self._open_callers = open_callers
        open_callers.add(self)

    def logged_in(self) -> None:
        """Send."""
        self.post(self._count, monotonic())

    def take(self, packets: Iterator[Packet]) -> None:
        """Enter each ACK; leave after the last."""
        super().take(packets)
        if self.stream.settled():
            self._open_callers.discard(self)
            self.close()


@dataclass(frozen=True, slots=True)
class Listing:
    """A user with ``conversations`` single chats of ``unread`` messages each lists them, ``times`` over.

    Where ``changed`` is not 0, so many get one message more, and only what changed is listed.
    """

    conversations: int = 1000
    unread: int = 20
    changed: int = 0
    times: int = 50

    @property
    def label(self) -> str:
        """What the work is, with its parameters."""
        of_all = f"{self.conversations:,} conversations, {self.unread:,} unread each"
        return f"LIST_GROUP since, {self.changed:,} of {of_all}" if self.changed else f"LIST_GROUP, {of_all}"

    def run(self, target: Target, progress: Progress) -> Outcome:
        """Store, then list, and compare. Raises LoadError."""
        uid, peers = target.first_uid, range(target.first_uid + 1, target.first_uid + 1 + self.conversations)
        expected = {single_group_id(uid, peer): self.unread for peer in peers}
        whole = self.conversations + self.times
        latencies: array[float] = array("d")
        with Loop(target) as loop:
            streams = {peer: Stream(f"the chat with {peer}") for peer in peers}
            _call(loop, uid, streams, self.unread, lambda done: progress(done, whole))
            client = Asker(loop, uid)
            loop.log_in([client])
            _acknowledge(client, expected)
            since, sought = 0, expected
            if self.changed:
                since = _quiet(client)
                changed = {peer: streams[peer] for peer in peers[: self.changed]}
                _call(loop, uid, changed, 1, lambda _done: None)
                sought = {single_group_id(uid, peer): self.unread + 1 for peer in changed}
                expected |= sought
            _settle(client, since, sought)
            breaches: list[str] = []
            meter = Meter(target)
            for number in range(self.times):
                progress(self.conversations + number, whole)
                start = monotonic()
                listed = list_all(client, since)
                latencies.append(monotonic() - start)
                breaches = breaches or compare(listed, sought)
            used = meter.stop(loop)
            total = client.ask(Command.UNREAD_COUNT, UnreadCount(), UnreadCountAck).total
            if total != sum(expected.values()):
                breaches.append(f"UNREAD_COUNT tells of {total} messages, where {sum(expected.values())} are unread")
            return Outcome(
                self.label,
                "listing",
                self.times,
                used,
                resident_bytes(target),
                latency=spread(latencies),
                breaches=(*(sentence for stream in streams.values() for sentence in stream.complaints()), *breaches),
            )


def compare(listed: Sequence[ImGroup], unread: Mapping[str, int]) -> list[str]:
    """Return a sentence for each way in which ``listed`` is not the conversations ``unread``, each with its count."""
    breaches = []
    ids = [group.group_id for group in listed]
    if doubled := len(ids) - len(set(ids)):
        breaches.append(f"{doubled} conversations are listed twice")
    if missing := unread.keys() - ids:
        breaches.append(f"{len(missing)} conversations are not listed, {min(missing)} among them")
    if strange := set(ids) - unread.keys():
        breaches.append(f"{len(strange)} conversations are listed that should not be, {min(strange)} among them")
    breaches += [
        f"{group.group_id} is listed with {group.unread} unread messages, where {unread[group.group_id]} were expected"
        for group in listed
        if group.group_id in unread and group.unread != unread[group.group_id]
    ]
    return breaches


def list_all(client: Asker, since: int) -> list[ImGroup]:
    """Return all pages of the conversations, but for ``system``; with ``since`` (ms) those with a change."""
    groups: list[ImGroup] = []
    request, has_more = ListGroup(page_size=_PAGE, since=since), True
    while has_more:
        page = client.ask(Command.LIST_GROUP, request, UserData)
        groups += _chats(page)
        request.cursor, has_more = page.cursor, page.has_more
    return groups


def _call(
    loop: Loop, receiver: int, streams: Mapping[int, Stream], count: int, progress: Callable[[int], None]
) -> None:
    """Let the user of each stream send ``count`` messages; ``progress`` is told how many have begun."""
    open_callers: set[Caller] = set()

    def callers() -> Iterator[Connection]:
        for number, (uid, stream) in enumerate(streams.items()):
            progress(number)
            loop.wait_for(lambda: len(open_callers) < LOGIN_WINDOW, STALLED_SECONDS)
            yield Caller(loop, uid, stream, receiver, count, open_callers)

    loop.log_in(callers())
    if not loop.wait_for(lambda: not open_callers, STALLED_SECONDS):
        raise LoadError(f"{len(open_callers)} users wait for the ACKs of what they sent since {STALLED_SECONDS:g} s.")


def _acknowledge(client: Asker, seqs: Mapping[str, int]) -> None:
    """ACK each conversation up to its seq, as a client does that has pulled them."""
    acks = [ImMsgAck(group_id=group_id, seq_id=seq) for group_id, seq in seqs.items()]
    for start in range(0, len(acks), _ACKS):
        client.send(encode(Command.IM_MSG_ACK, 0, MsgAck(acks=acks[start : start + _ACKS]).SerializeToString()))


def _quiet(client: Asker) -> int:
    """Return a ``since`` after which nothing has changed, as soon as there is one: server_time lies in the past."""
    since = 0
    end = monotonic() + _SETTLE_SECONDS
    while monotonic() < end:
        page = client.ask(Command.LIST_GROUP, ListGroup(page_size=_PAGE, since=since), UserData)
        if since and not _chats(page):
            return page.server_time
        since = page.server_time
        client.loop.wait(_POLL_SECONDS)
    raise LoadError(f"The conversations of {client.uid} go on changing, though nothing is sent.")


def _settle(client: Asker, since: int, unread: Mapping[str, int]) -> None:
    """Wait until what is listed is ``unread`` and has left the inbox."""
    end = monotonic() + _SETTLE_SECONDS
    while wrong := _unsettled(list_all(client, since), unread):
        if monotonic() > end:
            raise LoadError(f"{_SETTLE_SECONDS:g} s after the last message still {wrong}.")
        client.loop.wait(_POLL_SECONDS)


def _unsettled(listed: Sequence[ImGroup], unread: Mapping[str, int]) -> str:
    """Return what is wrong, empty where nothing is."""
    left = sum(group.receive_seq != group.max_seq for group in listed)
    breaches = [f"{left} conversations have ACKed messages in the inbox"] if left else compare(listed, unread)
    return breaches[0] if breaches else ""


def _chats(page: UserData) -> list[ImGroup]:
    """Return the conversations of a page but for ``system``, which everyone has."""
    return [group for group in page.groups if group.group_type != GroupType.SYSTEM]
