"""The one table of routes, from which the router and /openapi.json are made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from imd.http.accounts import AccountRoutes, Accounts
from imd.http.groups import GroupRoutes
from imd.http.history import HistoryRoutes
from imd.http.messages import MessageRoutes
from imd.http.notices import NoticeRoutes
from imd.http.presence import PresenceRoutes
from imd.http.routing import Route
from imd.http.statistics import Figure, StatisticsRoutes
from imd.http.tokens import Issue, TokenRoutes
from imd.http.users import UserRoutes
from imd.logic.groups import Groups
from imd.logic.login import Login
from imd.logic.notices import Notices
from imd.logic.pushes import Pushes
from imd.logic.sending import Sending
from imd.logic.settings import Settings
from imd.ports.archive import IArchive
from imd.ports.presence import IPresence
from imd.ports.users import IUserStore


@dataclass(frozen=True, slots=True)
class Services:
    """Who answers.

    ``issue`` is None where imd doesn't issue tokens. ``now`` gives milliseconds since the epoch, ``uptime`` the seconds
    since the node's start.
    """

    node: str
    version: str
    archive: IArchive
    presence: IPresence
    notices: Notices
    sending: Sending
    groups: Groups
    login: Login
    accounts: Accounts
    users: IUserStore
    settings: Settings
    pushes: Pushes
    issue: Issue | None
    figures: Sequence[Figure]
    now: Callable[[], int]
    uptime: Callable[[], float]


def routes(to: Services) -> list[Route]:
    """Return the table."""
    table = [
        *NoticeRoutes(to.notices).routes(),
        *MessageRoutes(to.sending).routes(),
        *HistoryRoutes(to.archive, to.presence, to.pushes, to.node).routes(),
        *UserRoutes(to.login, to.settings, to.presence).routes(),
        *AccountRoutes(to.accounts, to.users).routes(),
        *GroupRoutes(to.groups, to.archive).routes(),
        *PresenceRoutes(to.presence).routes(),
        *StatisticsRoutes(to.figures, to.node, to.version, to.uptime).routes(),
    ]
    return table + TokenRoutes(to.issue, to.now).routes() if to.issue is not None else table
