"""The one table of commands: code, responder, how it answers, who may ask, what it may refuse with."""

from collections.abc import Callable

from imd.dispatch import Answer, Route
from imd.logic.chat import Chat
from imd.logic.groups import Groups
from imd.logic.history import History
from imd.logic.login import Login
from imd.logic.receipts import Receipts
from imd.ports import ISession
from imd.wire import bodies
from imd.wire.commands import Command
from imd.wire.results import Result

_GROUP_ERRORS = frozenset({Result.NOT_IN_GROUP, Result.FORBIDDEN})


def routes(login: Login, chat: Chat, groups: Groups, history: History, receipts: Receipts) -> list[Route]:
    """Return the table."""
    return [
        Route(Command.HEARTBEAT, bodies.Heartbeat, login.heartbeat, Answer.NOW),
        Route(
            Command.USER_LOGIN,
            bodies.UserLogin,
            login.login,
            Answer.AWAIT,
            before_login=True,
            errors=frozenset({Result.AUTH_FAILED, Result.AUTH_EXPIRED, Result.CONFLICT}),
        ),
        Route(Command.USER_LOGOUT, bodies.UserLogout, login.logout, Answer.LATER),
        Route(Command.USER_KICK, bodies.KickUser, login.kick, Answer.AWAIT, admin=True),
        Route(Command.LIST_GROUP, bodies.ListGroup, history.list_groups, Answer.AWAIT),
        Route(Command.GROUP_BY_ID, bodies.GetGroupById, history.groups_by_id, Answer.AWAIT),
        Route(
            Command.IM_SEND_MSG,
            bodies.ImMsg,
            chat.send,
            Answer.LATER,
            errors=frozenset({Result.FORBIDDEN, Result.CONFLICT, Result.NOT_IN_GROUP}),
        ),
        Route(Command.IM_OFFLINE_MSG, bodies.PullMsg, history.pull, Answer.AWAIT, errors=_GROUP_ERRORS),
        Route(Command.IM_MSG_ACK, bodies.MsgAck, receipts.pulled, Answer.NONE),
        Route(Command.GROUP_CREATE, bodies.GroupCreate, groups.create, Answer.AWAIT),
        Route(Command.GROUP_INVITE, bodies.GroupInvite, groups.invite, Answer.AWAIT, errors=_GROUP_ERRORS),
        Route(Command.GROUP_JOIN, bodies.GroupJoin, groups.join, Answer.AWAIT, errors=_GROUP_ERRORS),
        Route(Command.GROUP_QUIT, bodies.GroupQuit, groups.quit, Answer.AWAIT, errors=_GROUP_ERRORS),
        Route(Command.GROUP_MEMBERS, bodies.GroupMembers, groups.members, Answer.AWAIT, errors=_GROUP_ERRORS),
    ]


def acks(receipts: Receipts) -> dict[int, Callable[[ISession, int], None]]:
    """Return who takes the client's ACKs, by the command they answer."""
    return {Command.IM_SEND_MSG: receipts.pushed}
