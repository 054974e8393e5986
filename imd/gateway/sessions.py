"""Sessions: whose connection it is, and which pushes wait for their ACK; and who is connected to this node."""

import math
from bisect import insort
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from twisted.logger import Logger
from zope.interface import implementer

from imd.errors import RefusedError
from imd.gateway.outbox import Outbox
from imd.model import Identity
from imd.ports.delivery import Acknowledged, IDelivery, ISender, ISession, Push
from imd.ports.presence import Location
from imd.wire.bodies import KickNotice
from imd.wire.commands import Command
from imd.wire.packet import ACK, encode, encode_deflated, encode_error


class Channel(Protocol):
    """The connection under a session."""

    is_open: bool

    def send(self, packet: bytes) -> None:
        """Queue a packet; the connection is dropped where too much is queued already."""

    def close(self) -> None:
        """Write what is queued, then close."""

    def drop(self, why: str) -> None:
        """Close at once; ``why`` goes into the log."""

    def logged_in(self) -> None:
        """The session has logged in or out: other deadlines and limits hold."""


@implementer(ISession)
class Session:
    """One connection's session."""

    __slots__ = (
        "_channel",
        "_pushed",
        "_sessions",
        "_traces",
        "client_type",
        "deflates",
        "expires",
        "in_flight",
        "is_admin",
        "issued",
        "name",
        "session_id",
        "since",
        "uid",
    )

    def __init__(self, channel: Channel, sessions: "Sessions") -> None:
        self._channel = channel
        self._sessions = sessions
        self.in_flight = 0
        self.deflates = False
        self._forget()

    def _forget(self) -> None:
        self.uid = 0
        self.client_type = 0
        self.session_id = ""
        self.name = ""
        self.is_admin = False
        self.expires = 0
        self.issued = 0.0
        self.since = 0.0
        self._traces: dict[int, str] | None = None
        self._pushed: dict[str, list[tuple[int, int, int]]] | None = None

    @property
    def is_open(self) -> bool:
        """False once the connection is closed or closing."""
        return self._channel.is_open

    def answer(self, command: int, trace_id: int, body: bytes) -> None:
        """ACK a request with OK."""
        self._channel.send(self._encode(command, trace_id, body, ACK))

    def refuse(self, command: int, trace_id: int, error: RefusedError) -> None:
        """ACK a request with the error's result."""
        self._channel.send(encode_error(command, trace_id, error.result, str(error)))

    def send(self, command: int, body: bytes) -> None:
        """Send a notice."""
        self._channel.send(self._encode(command, self._sessions.next_trace_id(), body, 0))

    def tell(self, command: int, body: bytes, packet: bytes) -> None:
        """Send a notice that is encoded already, for who does not compress."""
        if self.deflates:
            self.send(command, body)
        else:
            self._channel.send(packet)

    def _encode(self, command: int, trace_id: int, body: bytes, flags: int) -> bytes:
        if self.deflates:
            return encode_deflated(command, trace_id, body, flags)
        return encode(command, trace_id, body, flags)

    def push(self, push: Push) -> None:
        """Push a message that waits for its ACK."""
        trace_id, group_id, seq_id, sender, body, packet = push
        traces, pushed = self._traces, self._pushed
        if traces is None or pushed is None:
            traces = self._traces = {}
            pushed = self._pushed = {}
        elif len(traces) >= self._sessions.max_unacked:
            if self._channel.is_open:
                self._channel.drop(f"uid {self.uid} left {len(traces)} pushes without an ACK")
            return
        traces[trace_id] = group_id
        of_group = pushed.get(group_id)
        if of_group is None:
            pushed[group_id] = [(seq_id, trace_id, sender)]
        elif seq_id > of_group[-1][0]:
            of_group.append((seq_id, trace_id, sender))
        else:  # pushed again
            insort(of_group, (seq_id, trace_id, sender))
        if self.deflates:
            packet = encode_deflated(Command.IM_SEND_MSG, trace_id, body)
        self._channel.send(packet)

    def acknowledge(self, trace_id: int) -> Acknowledged | None:
        """Take the ACK of a push, which covers all pushes of that group on this session up to that seq."""
        traces, pushed = self._traces, self._pushed
        if traces is None or pushed is None or trace_id not in traces:
            return None
        group_id = traces[trace_id]
        waiting = pushed[group_id]
        if len(waiting) == 1:
            del traces[trace_id], pushed[group_id]
            seq_id, _, sender = waiting[0]
            return Acknowledged(group_id, [seq_id], (sender,))
        covered: list[int] = []
        senders: set[int] = set()
        upto = math.inf
        for seq_id, trace, sender in waiting:  # ascending by seq, so that an ACK costs what it covers
            if seq_id > upto:
                break
            covered.append(seq_id)
            senders.add(sender)
            del traces[trace]
            if trace == trace_id:
                upto = seq_id
        if len(covered) == len(waiting):
            del pushed[group_id]
        else:
            del waiting[: len(covered)]
        return Acknowledged(group_id, covered, senders)

    def log_in(self, uid: int, client_type: int, session_id: str, identity: Identity) -> None:
        """Bind the session to its user."""
        self.uid = uid
        self.client_type = client_type
        self.session_id = session_id
        self.name = identity.name
        self.is_admin = identity.is_admin
        self.expires = identity.expires
        self.issued = identity.issued
        self.since = self._sessions.seconds()
        self._sessions.add(self)
        self._channel.logged_in()

    def log_out(self) -> None:
        """Make the session what it was before login."""
        self._sessions.remove(self)
        self._forget()
        self._channel.logged_in()

    def kick(self, reason: int, message: str) -> None:
        """Tell the client why, and close."""
        notice = KickNotice(reason=reason, message=message)
        self.send(Command.USER_KICK, notice.SerializeToString())
        self._channel.close()

    def end(self, why: str) -> None:
        """Close at once."""
        self._channel.drop(why)


class Clock(Protocol):
    """Gives the reactor's seconds."""

    def seconds(self) -> float:
        """Return them."""


@implementer(IDelivery)
class Sessions:
    """The sessions logged in on this node, and the way to them."""

    _log = Logger()

    def __init__(self, clock: Clock, outbox: Outbox, max_unacked: int) -> None:
        self.seconds = clock.seconds
        self.max_unacked = max_unacked
        self._outbox = outbox
        self._by_uid: dict[int, list[Session]] = {}
        self._by_id: dict[str, Session] = {}
        self._trace_id = 0

    def next_trace_id(self) -> int:
        """Number what this node sends; one number a message, whoever receives it."""
        self._trace_id = (self._trace_id + 1) & 0xFFFFFFFF
        return self._trace_id

    def add(self, session: Session) -> None:
        """Let the session get its user's pushes."""
        self._by_uid.setdefault(session.uid, []).append(session)
        self._by_id[session.session_id] = session

    def remove(self, session: Session) -> None:
        """Take the session out, if it is in."""
        if self._by_id.pop(session.session_id, None) is not None:
            sessions = self._by_uid[session.uid]
            sessions.remove(session)
            if not sessions:
                del self._by_uid[session.uid]

    def push(self, push: Push, uids: Iterable[int]) -> None:
        """Push to every session of ``uids``."""
        by_uid = self._by_uid
        for uid in uids:
            sessions = by_uid.get(uid)
            if sessions is not None:
                for session in sessions:
                    session.push(push)

    def tell(self, command: int, body: bytes, uids: Iterable[int], but: Collection[ISender] = ()) -> int:
        """Send a packet to every session of ``uids`` but ``but``, encoded once; return how many there were."""
        packet = b""
        told = 0
        for uid in uids:
            for session in self._by_uid.get(uid, ()):
                if session not in but:
                    packet = packet or encode(command, self.next_trace_id(), body)
                    session.tell(command, body, packet)
                    told += 1
        return told

    def hold(self) -> None:
        """Queue what is sent from here on."""
        self._outbox.hold()

    def flush(self) -> None:
        """Write out what was queued."""
        self._outbox.flush()

    def sessions(self, uid: int) -> Sequence[Session]:
        """The user's sessions here."""
        return tuple(self._by_uid.get(uid, ()))

    def online(self) -> list[int]:
        """The users with a session here."""
        return list(self._by_uid)

    def everyone(self) -> list[Session]:
        """Every session that is logged in here."""
        return list(self._by_id.values())

    def broadcast(self, push: Push) -> None:
        """There is no other node."""

    def blocked(self, uid: int, uids: Collection[int]) -> None:
        """There is no other node."""

    def has_other(self, uid: int, session: ISender | None) -> bool:
        """Whether the user has a session here beside this one."""
        sessions = self._by_uid.get(uid)
        return sessions is not None and (len(sessions) > 1 or sessions[0] is not session)

    def kick(self, location: Location, reason: int, message: str) -> bool:
        """End one session."""
        session = self._by_id.get(location.session_id)
        if session is None:
            return False
        self.remove(session)
        session.kick(reason, message)
        return True

    def __len__(self) -> int:
        return len(self._by_id)
