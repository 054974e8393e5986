"""The frames between this node and each other one, counted both ways, so that a lost one is noticed."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from msgspec.structs import replace
from twisted.logger import Logger

from imd.presence.frames import Content, Frame, decode_frame, encode_frame

MAX_FRAME = 1024 * 1024
"""Bytes of a frame; what would be longer is sent in several, as long as it is not one parcel."""

FORGET_MS = 3_600_000
"""How long the counts of a node that has gone are kept, should only its lease have flapped."""

Publish = Callable[[str, bytes], None]
"""Sends bytes to the node of that name. They may get lost, but it raises nothing."""


@dataclass(slots=True)
class Peer:
    """Another node: what it was sent since ``began``, and what has come of its own count, which began at ``theirs``.

    ``well`` is when nothing of it was missing. All times are in ms.
    """

    began: int
    well: int
    sent: int = 0
    theirs: int = 0
    seen: int = 0


class Links:
    """Numbers what goes out, and looks at the numbers of what comes in.

    ``on_doubt`` is told since when (ms) something may have been missed. Whoever fails to send says so with ``lost``: it
    is the receiver who has to make it good, and who learns it by the gap that this leaves in the numbers.
    """

    _log = Logger(namespace="imd.presence")

    def __init__(self, node: str, publish: Publish, now: Callable[[], int], on_doubt: Callable[[int], None]) -> None:
        self._node = node
        self._publish = publish
        self._now = now
        self._on_doubt = on_doubt
        self._began = now()
        self._peers: dict[str, Peer] = {}

    def send(self, target: str, content: Content) -> None:
        """Send this in the next frame, or in several where it is long."""
        peer = self._peer(target)
        data = encode_frame(Frame(self._node, peer.began, peer.sent + 1, content))
        parcels = content.parcels
        if len(data) > MAX_FRAME and len(parcels) > 1:
            half = len(parcels) // 2
            self.send(target, replace(content, parcels=parcels[:half]))
            self.send(target, Content(parcels=parcels[half:]))
        else:
            peer.sent += 1
            self._publish(target, data)

    def lost(self, targets: Collection[str]) -> None:
        """Count a frame that could not be sent to any of these nodes."""
        for target in targets:
            self._peer(target).sent += 1

    def beat(self, targets: Collection[str]) -> None:
        """Tell every other live node how many frames it was sent; to be called every second, and before the end."""
        for target in targets:
            peer = self._peer(target)
            self._publish(target, encode_frame(Frame(self._node, peer.began, peer.sent)))
        forgotten = self._now() - FORGET_MS
        for name in [name for name, peer in self._peers.items() if peer.well < forgotten and name not in targets]:
            del self._peers[name]

    def received(self, data: bytes) -> Content | None:
        """Return what has come with these bytes, None where it is only a count."""
        try:
            frame = decode_frame(data)
        except ValueError as error:  # it leaves a gap
            self._log.warn("a frame of another node can't be read: {error}", error=error)
            return None
        peer = self._peer(frame.sender)
        if frame.began != peer.theirs:  # nothing can be missing from before both had begun
            peer.theirs, peer.seen, peer.well = frame.began, 0, max(frame.began, self._began)
        missing = frame.seq - peer.seen - (frame.content is not None)
        since, peer.well = peer.well, self._now()
        if missing > 0:
            self._log.warn("{n} frames of {node} are missing", n=missing, node=frame.sender)
            self._on_doubt(since)
        peer.seen = max(peer.seen, frame.seq)  # a late one was missed already
        return frame.content

    def _peer(self, name: str) -> Peer:
        peer = self._peers.get(name)
        if peer is None:
            now = self._now()
            peer = self._peers[name] = Peer(now, now)
        return peer
