"""The way to the users of all nodes: what goes to this node's sessions goes on to the nodes that hold the others."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from imd.errors import UnavailableError
from imd.ports.delivery import IDelivery, ISender, Push
from imd.ports.presence import IPresence, Location
from imd.presence.frames import BlockedBy, Content, KickAt, Parcel
from imd.presence.links import Links
from imd.wire.commands import Command
from imd.wire.packet import encode

MAX_WAITING = 64 * 1024 * 1024
"""Bytes that may wait until their receivers are looked up; what comes on top counts as lost."""

_SEND = int(Command.IM_SEND_MSG)  # an enum's member costs a call to look up
_ROOM = 100
_UID_ROOM = 9

Item = TypeVar("Item")


@implementer(IDelivery)
class Routing:
    """IDelivery over all nodes: ``local`` is that of this node, ``others`` names the other nodes that live.

    What is for users of other nodes gathers until ``flush``, and while a look-up is under way. Then its receivers are
    looked up with one request, and each node that holds some of them gets one frame, so that the order is kept. What
    can't be sent is counted as lost, and found in the inboxes by the sweeps of the nodes that notice it; hence
    ``others`` has to keep its answer while presence is away. ``on_broadcast`` and ``on_block`` take what other nodes
    tell beside packets.
    """

    _log = Logger(namespace="imd.presence")

    def __init__(
        self,
        node: str,
        local: IDelivery,
        presence: IPresence,
        others: Callable[[], Collection[str]],
        links: Links,
        on_broadcast: Callable[[Push], None],
        on_block: Callable[[int, Collection[int]], None],
    ) -> None:
        self._node = node
        self._local = local
        self._presence = presence
        self._others = others
        self._links = links
        self._on_broadcast = on_broadcast
        self._on_block = on_block
        self._is_held = False
        self._waiting: list[Parcel] = []
        self._size = 0
        self._is_routing = False
        self._routed: Deferred[None] = succeed(None)
        self.next_trace_id = local.next_trace_id
        self.sessions = local.sessions
        self.online = local.online

    def push(self, push: Push, uids: Iterable[int]) -> None:
        """Push to every session of ``uids``, on whatever node."""
        if not self._others():
            self._local.push(push, uids)
            return
        receivers = tuple(uids)
        self._local.push(push, receivers)
        self._add(_parcel(push, receivers))

    def tell(self, command: int, body: bytes, uids: Iterable[int], but: Collection[ISender] = ()) -> int:
        """Send a packet to every session of ``uids`` but ``but``; return how many there were on this node."""
        if not self._others():
            return self._local.tell(command, body, uids, but)
        receivers = tuple(uids)
        told = self._local.tell(command, body, receivers, but)
        self._add(Parcel(command, body, receivers))
        return told

    def broadcast(self, push: Push) -> None:
        """Send a message for everybody on to the other nodes."""
        self._send_to_all(Content(broadcasts=(_parcel(push, ()),)))

    def blocked(self, uid: int, uids: Collection[int]) -> None:
        """Let the other nodes know that ``uid`` has just blocked ``uids``."""
        self._send_to_all(Content(blocks=(BlockedBy(uid, tuple(uids)),)))

    def has_other(self, uid: int, session: ISender | None) -> bool:
        """Whether the user may have a session beside this one."""
        return bool(self._others()) or self._local.has_other(uid, session)

    def hold(self) -> None:
        """Queue what is sent from here on."""
        self._is_held = True
        self._local.hold()

    def flush(self) -> None:
        """Write out what was queued, and send on what is for other nodes."""
        self._is_held = False
        self._local.flush()
        self._go_on()

    def kick(self, location: Location, reason: int, message: str) -> bool:
        """End one session, on whatever node."""
        if location.node == self._node:
            return self._local.kick(location, reason, message)
        if location.node not in self._others():
            return False
        self._links.send(location.node, Content(kicks=(KickAt(location.session_id, reason, message),)))
        return True

    def received(self, data: bytes) -> None:
        """Hand what another node has sent to this node's sessions."""
        content = self._links.received(data)
        if content is None:
            return
        self._local.hold()
        try:
            self._each(self._deliver, content.parcels)
        finally:
            self._local.flush()
        self._each(lambda parcel: self._on_broadcast(self._push_of(parcel)), content.broadcasts)
        self._each(self._end, content.kicks)
        self._each(lambda by: self._on_block(by.uid, by.uids), content.blocks)

    async def settle(self) -> None:
        """Return once what is for other nodes is on its way."""
        await self._routed

    def _send_to_all(self, content: Content) -> None:
        for target in self._others():
            self._links.send(target, content)

    def _add(self, parcel: Parcel) -> None:
        self._size += len(parcel.body) + len(parcel.uids) * _UID_ROOM + _ROOM
        if self._size > MAX_WAITING and self._waiting:
            self._links.lost(self._others())
            return
        self._waiting.append(parcel)
        self._go_on()

    def _go_on(self) -> None:
        if self._waiting and not self._is_held and not self._is_routing:
            self._routed = Deferred.fromCoroutine(self._route())

    async def _route(self) -> None:
        self._is_routing = True
        try:
            while self._waiting:
                parcels, self._waiting, self._size = self._waiting, [], 0
                try:
                    await self._send(parcels)
                except CancelledError:
                    raise
                except Exception as error:
                    self._links.lost(self._others())
                    if not isinstance(error, UnavailableError):
                        self._log.failure("a batch could not be sent to other nodes; their sweeps find it")
        finally:
            self._is_routing = False

    async def _send(self, parcels: list[Parcel]) -> None:
        found = await self._presence.nodes(list({uid for parcel in parcels for uid in parcel.uids}))
        elsewhere = {uid: others for uid, nodes in found.items() if (others := [n for n in nodes if n != self._node])}
        frames: defaultdict[str, list[Parcel]] = defaultdict(list)
        for parcel in parcels:
            if len(parcel.uids) == 1:
                for target in elsewhere.get(parcel.uids[0], ()):
                    frames[target].append(parcel)
                continue
            there: defaultdict[str, list[int]] = defaultdict(list)
            for uid in parcel.uids:
                for target in elsewhere.get(uid, ()):
                    there[target].append(uid)
            for target, uids in there.items():
                frames[target].append(replace(parcel, uids=tuple(uids)))
        for target, onward in frames.items():
            self._links.send(target, Content(parcels=tuple(onward)))

    def _deliver(self, parcel: Parcel) -> None:
        if parcel.group_id:
            self._local.push(self._push_of(parcel), parcel.uids)
        else:
            self._local.tell(parcel.command, parcel.body, parcel.uids)

    def _end(self, kick: KickAt) -> None:
        self._local.kick(Location(self._node, kick.session_id), kick.reason, kick.message)

    def _push_of(self, parcel: Parcel) -> Push:
        trace_id, body = self._local.next_trace_id(), parcel.body
        packet = encode(_SEND, trace_id, body)
        return Push(trace_id, parcel.group_id, parcel.seq_id, parcel.sender, body, packet)

    def _each(self, take: Callable[[Item], object], items: Iterable[Item]) -> None:
        for item in items:
            try:
                take(item)
            except Exception:  # the others are handed on all the same
                self._log.failure("what another node has sent could not be handed on")


def _parcel(push: Push, uids: tuple[int, ...]) -> Parcel:
    return Parcel(_SEND, push.body, uids, push.group_id, push.seq_id, push.sender)
