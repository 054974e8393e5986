"""Sessions, and the way to them."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from zope.interface import Attribute, Interface

from imd.errors import RefusedError
from imd.model import Identity
from imd.ports.presence import Location


class ISender(Interface):
    """Who sends a message and is answered."""

    uid: int = Attribute("who it is; of a session 0 before login")
    name: str = Attribute("the name the SSO gives, or empty")
    is_admin: bool = Attribute("the SSO says so")

    def answer(command: int, trace_id: int, body: bytes) -> None:
        """ACK the request ``trace_id`` with OK."""

    def refuse(command: int, trace_id: int, error: RefusedError) -> None:
        """ACK the request ``trace_id`` with the error's result and reason."""


class ISession(ISender):
    """One client's connection, as logic sees it; ``uid`` is 0 until it has logged in."""

    client_type: int = Attribute("the kind of device")
    session_id: str = Attribute("unique on all nodes; empty before login")
    issued: float = Attribute(
        "since when the SSO has stood by its token, in seconds since the epoch; 0: it doesn't say"
    )
    since: float = Attribute("when it logged in, in the reactor's seconds")
    is_open: bool = Attribute("false once it is closed or closing")
    in_flight: int = Attribute("requests being worked on")
    deflates: bool = Attribute("the client has shown that it knows DEFLATE")

    def send(command: int, body: bytes) -> None:
        """Send a notice: a packet that is not ACKed."""

    def acknowledge(trace_id: int) -> "Acknowledged | None":
        """Take the client's ACK of a push; None where nothing with that traceId is outstanding."""

    def log_in(uid: int, client_type: int, session_id: str, identity: Identity) -> None:
        """Bind the session to its user; from here on it gets the user's pushes."""

    def log_out() -> None:
        """Make the session what it was before login."""

    def kick(reason: int, message: str) -> None:
        """Tell the client why (KickNotice) and close."""

    def end(why: str) -> None:
        """Close at once; ``why`` goes into the log."""


class Acknowledged(NamedTuple):
    """What an ACK of a push covers: the seqs pushed on that session, ascending, and who sent them."""

    group_id: str
    seqs: list[int]
    senders: Collection[int]


class Push(NamedTuple):
    """A message on its way to receivers, encoded once for all of them."""

    trace_id: int
    group_id: str
    seq_id: int
    sender: int
    body: bytes
    packet: bytes


class IDelivery(Interface):
    """The way to the clients, those of this node or those of all.

    ``sessions`` and ``online`` are this node's either way.
    """

    def push(push: Push, uids: Iterable[int]) -> None:
        """Push to every session of ``uids``; each push waits for its ACK."""

    def tell(command: int, body: bytes, uids: Iterable[int], but: Collection[ISender] = ()) -> int:
        """Send a packet that nobody ACKs to every session of ``uids`` but ``but``; return how many there were here."""

    def broadcast(push: Push) -> None:
        """Send a message for everybody on to the other nodes."""

    def blocked(uid: int, uids: Collection[int]) -> None:
        """Let the other nodes know that ``uid`` has just blocked ``uids``."""

    def has_other(uid: int, session: ISender | None) -> bool:
        """Whether the user may have a session beside this one."""

    def hold() -> None:
        """Queue what is sent from here on, so that each connection is written to once."""

    def flush() -> None:
        """Write out what was queued since ``hold``."""

    def next_trace_id() -> int:
        """Number a push."""

    def sessions(uid: int) -> Sequence[ISession]:
        """The user's sessions on this node."""

    def online() -> list[int]:
        """The users with a session on this node."""

    def kick(location: Location, reason: int, message: str) -> bool:
        """End one session; false where it is known that there is none."""
