"""The message store: messages, inboxes, watermarks, pages of history."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from zope.interface import Interface

from imd.errors import RefusedError
from imd.ports.delivery import ISender
from imd.wire.bodies import ImMsg, ListMsgReaderAck, UserData


class Members(NamedTuple):
    """A group's members as of ``version``: their roles by uid.

    ``mutes`` holds until when (ms) those who were muted may not speak, ``mute_until`` the same for everybody.
    """

    version: int
    roles: Mapping[int, int]
    mutes: Mapping[int, int]
    mute_until: int


CheckSend = Callable[[ImMsg, Members, int], None]
"""Says whether a member may send this at this time (ms). Raises RefusedError. Pure: it runs on the store's thread."""


class Submission(NamedTuple):
    """A message on its way into the store; a passthrough takes the same way and is not stored.

    ``message`` holds what the sender gave and who and where it is; the store fills seq_id, send_time and group_name.
    ``members`` is what the cache holds of the group, None in a single chat or where it holds nothing. ``check`` is
    asked of a message into a group. ``digest`` is of what was sent, ``size`` its bytes. ``origin`` and ``trace_id`` say
    whom to answer.
    """

    origin: ISender
    trace_id: int
    message: ImMsg
    members: Members | None
    check: CheckSend
    digest: bytes
    size: int = 0


class Stored(NamedTuple):
    """A message that is durable, or a passthrough that may go out.

    ``receivers`` are those in whose inbox it lies. ``members`` is set where the cache was stale. ``repeated``: it was
    stored before, under the same msg_id. A message of the broadcast stream has no receivers: it is for everybody.
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


class ReadMark(NamedTuple):
    """The user has read a group up to ``read_seq``."""

    uid: int
    group_id: str
    read_seq: int


class Watermark(NamedTuple):
    """How far a user is in a group after a mark of theirs rose.

    ``read_from`` is where the read mark was before; ``member_count`` is 0 for a former member.
    """

    uid: int
    group_id: str
    receive_seq: int
    read_seq: int
    read_from: int
    member_count: int


class Span(NamedTuple):
    """The messages of a group with ``after`` < seq <= ``upto``, of interest because of ``uid``."""

    uid: int
    group_id: str
    after: int
    upto: int


class Raised(NamedTuple):
    """What ACKs and read marks came to: the watermarks that rose, and the (uid, group_id) who never were there.

    ``rest`` is left within the store, for a mark that passes very many messages at once.
    """

    watermarks: Sequence[Watermark]
    strangers: frozenset[tuple[int, str]]
    rest: Sequence[ReadMark] = ()


@dataclass(frozen=True, slots=True)
class Revocation:
    """What decides whether ``by`` may revoke a message; ``role`` is theirs in a group, else 0. ``now`` is in ms."""

    by: int
    role: int
    message: ImMsg
    now: int


MayRevoke = Callable[[Revocation], None]
"""Raises RefusedError where the message may not be revoked. Pure: it runs on the store's thread."""


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
    """Durable messages and inboxes.

    What is handed to ``append`` and every change, of this port and of the others, goes into one group commit in that
    order. Each raises UnavailableError at once where too much is waiting already; later failures of the store come
    back the same way.
    """

    def on_commit(callback: Callable[[Sequence[Committed]], None]) -> None:
        """Call ``callback`` with each batch, in commit order, before any answer to a change."""

    def append(submission: Submission) -> None:
        """Store a message; its outcome comes through ``on_commit``."""

    async def raise_watermarks(acks: Sequence[InboxAck], reads: Sequence[ReadMark]) -> Raised:
        """Take messages out of inboxes and raise receive_seq and read_seq (rule 8), at most one read mark a group."""

    async def revoke(group_id: str, msg_id: str, by: int, control_id: str, may: MayRevoke) -> None:
        """Take a message back for everybody, with a control message ``control_id``; again changes nothing.

        Raises NotInGroupError, NotFoundError, and what ``may`` raises.
        """

    async def hide(uid: int, group_id: str, seq_ids: Sequence[int]) -> UserData | None:
        """Delete messages for one user; return the conversation and the new tombstones, None where nothing changed.

        Raises NotInGroupError, and NotFoundError past the end of the user's view.
        """

    async def clear(uid: int, group_id: str, init_seq: int) -> UserData | None:
        """Clear a user's history up to ``init_seq``; return the conversation, None where nothing changed.

        Raises NotInGroupError.
        """

    async def readers(uid: int, group_id: str, seq_id: int) -> ListMsgReaderAck:
        """Who has read a message and who has not. Raises NotInGroupError, and NotFoundError outside the user's view."""

    async def senders(spans: Sequence[Span]) -> Sequence[Collection[int]]:
        """Who sent the messages of each span."""

    async def pull(uid: int, group_id: str, after: int, before: int, page_size: int) -> UserData:
        """The newest ``page_size`` messages in ``after`` < seq < ``before`` (0: no end), ascending (rule 7).

        Raises NotInGroupError.
        """

    async def overdue(cursors: Sequence[OverdueCursor], before: int) -> Sequence[Overdue]:
        """What was stored before ``before`` (ms) and is still in these users' inboxes, a page a user."""
