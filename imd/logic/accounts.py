"""What an operator decides about users: bans, and tokens that are void.

The database is the truth, and each node looks there every second for what was decided on others. So it holds whatever
becomes of a login under way, of a lost push between nodes, or of presence.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from imd.errors import AuthExpiredError, AuthFailedError, BadRequestError, ForbiddenError, UnavailableError
from imd.logic.ids import check_uid
from imd.model import Identity
from imd.ports.delivery import IDelivery
from imd.ports.presence import Location
from imd.ports.users import Account, IUserStore
from imd.repeating import Repeating
from imd.wire.results import KickReason

LOOK_SECONDS = 1.0
OVERLAP_MS = 30_000
"""How far back each look goes beyond the last: commits become visible late, clocks differ, and logins take a while."""

PAGE = 500
"""Accounts in one look-up."""

BANNED = "this account is banned; its operator can say why"
_VOID = "this token is no longer good; log in with a new one"


def admit(account: Account, identity: Identity) -> None:
    """Let in whom the operator lets in.

    Raises ForbiddenError where the user is banned, AuthExpiredError where the token is void, and AuthFailedError where
    that can't be told of it, so that another of its kind would be of no use either.
    """
    if account.is_banned:
        raise ForbiddenError(BANNED)
    if _is_void(account, identity.issued):
        if not identity.issued:
            raise AuthFailedError(
                "tokens of this user were made void, and this one doesn't say when it was issued (iat)"
            )
        raise AuthExpiredError(_VOID)


class Accounts:
    """Bans users and makes their tokens void, and ends the sessions that this concerns, on all nodes.

    ``node`` is this one's name, ``now`` gives milliseconds since the epoch. What is decided holds for logins at once;
    sessions end at once on this node, within ``interval`` (seconds) on the others. All can be repeated.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        users: IUserStore,
        delivery: IDelivery,
        node: str,
        now: Callable[[], int],
        interval: float = LOOK_SECONDS,
    ) -> None:
        self._users = users
        self._delivery = delivery
        self._node = node
        self._now = now
        self._looked = now()
        self._is_failing = False
        self._looks = Repeating(clock, interval, self._look)

    def start(self) -> None:
        """Begin to look."""
        self._looks.start()

    def stop(self) -> None:
        """End."""
        self._looks.stop()

    async def ban(self, uid: int) -> None:
        """Let a user in no more. Raises BadRequestError, UnavailableError."""
        await self._users.set_banned(check_uid(uid), True)
        await self._apply(uid)

    async def unban(self, uid: int) -> None:
        """Take a ban back. Raises BadRequestError, UnavailableError."""
        await self._users.set_banned(check_uid(uid), False)

    async def void_tokens(self, uid: int, before: int = 0) -> None:
        """Make every token of a user void that was issued before ``before`` (ms; 0: now).

        Where the login system counts in whole seconds, what it issued within the same second is void too. It never
        falls. Raises BadRequestError, UnavailableError.
        """
        now = self._now()
        if not 0 <= before <= now:
            raise BadRequestError(f"before is {before}; expected milliseconds since the epoch, not in the future")
        await self._users.void_tokens(check_uid(uid), before or now)
        await self._apply(uid)

    async def _apply(self, uid: int) -> None:
        self._end_sessions(await self._users.account(uid))

    async def _look(self) -> None:
        began = self._now()
        time, uid = self._looked - OVERLAP_MS, 0
        try:
            while True:
                page = await self._users.changed_accounts(time, uid, PAGE)
                for account in page:
                    self._end_sessions(account)
                if len(page) < PAGE:
                    break
                time, uid = page[-1].account_time, page[-1].uid
        except Exception as error:
            self._note_failure(error)
            return
        self._looked = began
        self._is_failing = False

    def _end_sessions(self, account: Account) -> None:
        for session in self._delivery.sessions(account.uid):
            if account.is_banned:
                reason, message = KickReason.BANNED, BANNED
            elif _is_void(account, session.issued):
                reason, message = KickReason.TOKEN_EXPIRED, _VOID
            else:
                continue
            self._delivery.kick(Location(self._node, session.session_id), reason, message)

    def _note_failure(self, error: Exception) -> None:
        if self._is_failing:  # said once, not every second while the store is away
            return
        self._is_failing = True
        if isinstance(error, UnavailableError):
            self._log.warn("bans of other nodes can't be looked for until the store is back: {reason}", reason=error)
        else:
            self._log.failure("bans of other nodes could not be looked for; they are looked for again")


def _is_void(account: Account, issued: float) -> bool:
    return issued * 1000 < account.void_before
