"""What was pushed lately, kept for a while in memory: for who looks where a message has gone."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from zope.interface import implementer

from imd.ports.delivery import IDelivery, Push
from imd.wire.enums import SYSTEM_GROUP


class Pushed(NamedTuple):
    """A push to a session: when it began (ms since the epoch), whose session it is and of which kind."""

    time: int
    uid: int
    client_type: int
    session_id: str


@implementer(IDelivery)
class Pushes:
    """IDelivery that notes the pushes to this node's sessions before ``local`` does them.

    The last ``size`` are kept. ``seconds`` gives the reactor's, ``now`` milliseconds since the epoch. Noting costs one
    append, whoever the receivers are: who asks later is told the sessions that were there then and still are.
    Broadcasts are for everybody, and not noted.
    """

    def __init__(self, local: IDelivery, seconds: Callable[[], float], now: Callable[[], int], size: int) -> None:
        self._ring: deque[tuple[float, str, int]] = deque(maxlen=size)
        self._note = self._ring.append
        self._seconds = seconds
        self._now = now
        self._push = local.push
        self.tell = local.tell
        self.broadcast = local.broadcast
        self.blocked = local.blocked
        self.has_other = local.has_other
        self.hold = local.hold
        self.flush = local.flush
        self.next_trace_id = local.next_trace_id
        self.sessions = local.sessions
        self.online = local.online
        self.kick = local.kick

    def push(self, push: Push, uids: Iterable[int]) -> None:
        """Push to every session of ``uids`` on this node."""
        _, group_id, seq_id, _, _, _ = push  # quicker than by name, and this is done for each message
        if group_id != SYSTEM_GROUP:
            self._note((self._seconds(), group_id, seq_id))
        self._push(push, uids)

    def of(self, group_id: str, seq_id: int, uids: Iterable[int]) -> list[Pushed]:
        """Return the pushes of a message to the sessions that ``uids`` have here now, the first one first."""
        times = [at for at, group, seq in list(self._ring) if seq == seq_id and group == group_id]
        if not times:
            return []
        sessions = [session for uid in uids for session in self.sessions(uid)]
        seconds, now = self._seconds(), self._now()
        return [
            Pushed(now - round((seconds - at) * 1000), session.uid, session.client_type, session.session_id)
            for at in times
            for session in sessions
            if session.since <= at
        ]
