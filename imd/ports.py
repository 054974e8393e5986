"""What logic needs of the outside, as interfaces, and the values that pass through them.

The adapters live in the rooms beside logic: ``gateway`` (ISession, IDelivery), ``storage`` (IMessageStore),
``presence`` (IPresence), ``sso`` (ISso).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from zope.interface import Attribute, Interface

from imd.errors import RefusedError
from imd.model import Identity
from imd.wire.bodies import ImGroup, ImMsg, UserData


class ISession(Interface):
    """One client's connection, as logic sees it; ``uid`` is 0 until it has logged in."""

    uid: int = Attribute("whose session this is; 0 before login")
    client_type: int = Attribute("the kind of device")
    session_id: str = Attribute("unique on all nodes; empty before login")
    name: str = Attribute("the name the SSO gives, or empty")
    is_admin: bool = Attribute("the SSO says so")
    since: float = Attribute("when it logged in, in the reactor's seconds")
    is_open: bool = Attribute("false once it is closed or closing")
    in_flight: int = Attribute("requests being worked on")
    deflates: bool = Attribute("the client has shown that it knows DEFLATE")

    def answer(command: int, trace_id: int, body: bytes) -> None:
        """ACK the request ``trace_id`` with OK."""

    def refuse(command: int, trace_id: int, error: RefusedError) -> None:
        """ACK the request ``trace_id`` with the error's result and reason."""

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
    """What an ACK of a push covers: the seqs pushed on that session, ascending."""

    group_id: str
    seqs: list[int]


class Push(NamedTuple):
    """A message on its way to receivers, encoded once for all of them."""

    trace_id: int
    group_id: str
    seq_id: int
    body: bytes
    packet: bytes


class IDelivery(Interface):
    """The way to the clients of this node."""

    def push(push: Push, uids: Iterable[int]) -> None:
        """Push to every session of ``uids``; each push waits for its ACK."""

    def copy(body: bytes, uid: int, origin: ISession | None) -> None:
        """Send ``body`` (ImMsg) to the user's sessions but ``origin``; nobody has to ACK it."""

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

    def kick(session_id: str, reason: int, message: str) -> bool:
        """End one session of this node; false where it is not here."""


class Location(NamedTuple):
    """Where a session is."""

    node: str
    session_id: str


class IPresence(Interface):
    """Who is online where: at most one session for each (uid, client_type)."""

    async def login(uid: int, client_type: int, location: Location) -> Location | None:
        """Put ``location`` in, atomically, and return the one it replaces."""

    async def logout(uid: int, client_type: int, location: Location) -> None:
        """Take ``location`` out, unless a newer login has replaced it."""

    async def locations(uid: int) -> Mapping[int, Location]:
        """The user's sessions by client type."""


class ISso(Interface):
    """The company's login system."""

    async def verify(uid: int, token: str) -> Identity:
        """Say whom the token belongs to.

        Raises AuthFailedError where it is not ``uid``'s, AuthExpiredError where it was, UnavailableError where the
        login system can't be asked.
        """


class Members(NamedTuple):
    """A group's members as of ``version``: their roles by uid."""

    version: int
    roles: Mapping[int, int]


class Submission(NamedTuple):
    """A message on its way into the store.

    ``message`` holds what the sender gave and who and where it is; the store fills seq_id, send_time and group_name.
    ``members`` is what the cache holds of the group, None in a single chat or where it holds nothing. ``digest`` is
    of what was sent, ``size`` its bytes. ``origin`` and ``trace_id`` say whom to answer.
    """

    origin: ISession
    trace_id: int
    message: ImMsg
    members: Members | None
    digest: bytes
    size: int = 0


class Stored(NamedTuple):
    """A message that is durable.

    ``receivers`` are those in whose inbox it lies. ``members`` is set where the cache was stale. ``repeated``: it was
    stored before, under the same msg_id.
    """

    message: ImMsg
    receivers: Sequence[int]
    members: Members | None = None
    repeated: bool = False


class Committed(NamedTuple):
    """What became of one message: stored, or refused; ``submission`` is None for a control message."""

    submission: Submission | None
    outcome: Stored | RefusedError


class InboxAck(NamedTuple):
    """The seqs from ``low`` to ``high`` of a group have reached the user."""

    uid: int
    group_id: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a group; times in milliseconds since the epoch."""

    uid: int
    role: int
    mute_until: int
    joined_time: int


@dataclass(frozen=True, slots=True)
class Group:
    """A group as the database has it inside the transaction that changes it."""

    group_id: str
    group_name: str
    avatar: str
    extra: str
    owner_id: int
    join_policy: int
    mute_all: int
    is_dismissed: bool
    members: Mapping[int, Member]


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What a group command does, decided by logic and applied by the store in one transaction.

    ``op``, ``uids`` and ``value`` go into the control message; ``leave`` maps uids to the is_quit they get; ``fields``
    are columns of x_group.
    """

    op: str
    uids: tuple[int, ...] = ()
    value: str = ""
    join: tuple[int, ...] = ()
    leave: Mapping[int, int] = field(default_factory=dict)
    roles: Mapping[int, int] = field(default_factory=dict)
    fields: Mapping[str, int | str] = field(default_factory=dict)


Decide = Callable[[Group], GroupChange | None]
"""Looks at a group and says what to change, or None for nothing. Raises RefusedError. Pure: it runs on the store's
thread, inside the transaction."""


@dataclass(frozen=True, slots=True)
class NewGroup:
    """A group to be made; the first control message is ``create``."""

    group_id: str
    group_name: str
    avatar: str
    extra: str
    join_policy: int
    owner_id: int
    member_ids: tuple[int, ...]


class OverdueCursor(NamedTuple):
    """Where the sweep of a user's inbox goes on: after this group and seq."""

    uid: int
    group_id: str = ""
    seq_id: int = 0


class Overdue(NamedTuple):
    """What has lain too long in a user's inbox; ``next`` is set where there may be more."""

    uid: int
    messages: Sequence[ImMsg]
    next: OverdueCursor | None


class IMessageStore(Interface):
    """Durable messages, inboxes, groups and conversations.

    What is handed to ``append``, ``acknowledge`` and the changes goes into one group commit in that order. Each raises
    UnavailableError at once where too much is waiting already; later failures of the store come back the same way.
    """

    def on_commit(callback: Callable[[Sequence[Committed]], None]) -> None:
        """Call ``callback`` with each batch, in commit order, before any answer to a change."""

    def append(submission: Submission) -> None:
        """Store a message; its outcome comes through ``on_commit``."""

    def acknowledge(acks: Sequence[InboxAck]) -> None:
        """Take messages out of inboxes and raise receive_seq. A failure costs a repeated push, no more."""

    async def remember_user(uid: int) -> None:
        """Note the user's first login."""

    async def create_group(group: NewGroup, by: int, msg_id: str) -> ImGroup:
        """Make a group, its control message with ``msg_id``; where its id exists already, return that one unchanged."""

    async def change_group(group_id: str, by: int, msg_id: str, decide: Decide) -> ImGroup:
        """Apply what ``decide`` says and return the conversation as ``by`` sees it after.

        Raises NotInGroupError where there is no such group or ``by`` was never in it, and what ``decide`` raises.
        """

    async def conversations(uid: int, cursor: str, page_size: int, since: int) -> UserData:
        """One page of LIST_GROUP."""

    async def conversations_by_id(uid: int, group_ids: Sequence[str]) -> UserData:
        """GROUP_BY_ID: what the user may see of these groups, as many as an answer holds."""

    async def members(uid: int, group_id: str, cursor: str, page_size: int) -> UserData:
        """One page of GROUP_MEMBERS. Raises NotInGroupError."""

    async def pull(uid: int, group_id: str, after: int, before: int, page_size: int) -> UserData:
        """The newest ``page_size`` messages in ``after`` < seq < ``before`` (0: no end), ascending (rule 7).

        Raises NotInGroupError.
        """

    async def overdue(cursors: Sequence[OverdueCursor], before: int) -> Sequence[Overdue]:
        """What was stored before ``before`` (ms) and is still in these users' inboxes, a page a user."""
