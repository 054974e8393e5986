"""The store of notices."""

from collections.abc import Sequence
from typing import NamedTuple

from zope.interface import Interface

from imd.wire.bodies import NoticeMsg, UserData


class NoticeAck(NamedTuple):
    """A device of ``uid`` has this notice."""

    uid: int
    notice_id: str


class INoticeStore(Interface):
    """Functional messages, kept for each recipient until acknowledged or expired; changes go into the group commit."""

    async def keep_notices(notices: "Sequence[Addressed]") -> "Sequence[Kept]":
        """Keep notices, all of them or none, with the time of the commit as send_time.

        Who was given one with this notice_id before keeps that one, also for a while after they have acknowledged it.
        """

    async def acknowledge_notices(acks: Sequence[NoticeAck]) -> None:
        """Take notices away for all devices; those that are gone already are no error."""

    async def notices(uid: int, cursor: str, page_size: int, now: int) -> UserData:
        """One page of OFFLINE_NOTICE_MSG, the oldest first, without what has expired by ``now`` (ms)."""

    async def expire_notices(now: int, limit: int) -> int:
        """Delete at most ``limit`` notices that have expired by ``now`` (ms); return how many there were."""


class Addressed(NamedTuple):
    """A notice, and the users for whom it is."""

    notice: NoticeMsg
    uids: Sequence[int]


class Kept(NamedTuple):
    """What became of a notice that was handed over.

    ``waiting`` names it as it is kept and for whom, with several entries only where some had it already.
    ``acknowledged`` are those who had it and have acknowledged it, ``unknown`` those who never logged in.
    """

    waiting: Sequence[tuple[NoticeMsg, Sequence[int]]]
    acknowledged: Sequence[int]
    unknown: Sequence[int]
