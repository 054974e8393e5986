"""The one table of commands: code, responder, how it answers, who may ask, what it may refuse with."""

from collections.abc import Callable
from dataclasses import dataclass

from imd.dispatch import Answer, Route
from imd.logic.chat import Chat
from imd.logic.groups import Groups
from imd.logic.history import History
from imd.logic.login import Login
from imd.logic.notices import Notices
from imd.logic.presence import PresenceWatch
from imd.logic.receipts import Receipts
from imd.logic.removal import Removal
from imd.logic.settings import Settings
from imd.logic.upstream import Upstream
from imd.ports.delivery import ISession
from imd.wire import bodies
from imd.wire.commands import Command
from imd.wire.results import Result

_AWAIT, _LATER, _NONE = Answer.AWAIT, Answer.LATER, Answer.NONE
_MINE = frozenset({Result.NOT_IN_GROUP, Result.FORBIDDEN})
_FOUND = _MINE | {Result.NOT_FOUND}


@dataclass(frozen=True, slots=True)
class Services:
    """Who answers."""

    login: Login
    chat: Chat
    receipts: Receipts
    history: History
    removal: Removal
    groups: Groups
    settings: Settings
    notices: Notices
    presence: PresenceWatch
    upstream: Upstream


def routes(to: Services) -> list[Route]:
    """Return the table."""
    return [
        Route(Command.HEARTBEAT, bodies.Heartbeat, to.login.heartbeat, Answer.NOW),
        Route(
            Command.USER_LOGIN,
            bodies.UserLogin,
            to.login.login,
            _AWAIT,
            before_login=True,
            errors=frozenset({Result.AUTH_FAILED, Result.AUTH_EXPIRED, Result.FORBIDDEN, Result.CONFLICT}),
        ),
        Route(Command.USER_LOGOUT, bodies.UserLogout, to.login.logout, _LATER),
        Route(Command.USER_KICK, bodies.KickUser, to.login.kick, _AWAIT, admin=True),
        # Messages
        Route(
            Command.IM_SEND_MSG,
            bodies.ImMsg,
            to.chat.send,
            _LATER,
            errors=_MINE | {Result.CONFLICT, Result.MUTED, Result.BLOCKED},
        ),
        Route(Command.IM_MSG_ACK, bodies.MsgAck, to.receipts.pulled, _NONE),
        Route(Command.SUBMIT_READ_SEQ, bodies.SubmitReadSeq, to.receipts.read, _LATER, errors=_MINE),
        Route(Command.LIST_MSG_READER, bodies.ListMsgReader, to.receipts.readers, _AWAIT, errors=_FOUND),
        Route(
            Command.REVOKE_MSG,
            bodies.RevokeMsg,
            to.removal.revoke,
            _AWAIT,
            errors=_FOUND | {Result.REVOKE_TIMEOUT},
        ),
        Route(Command.DELETE_MSG, bodies.DeleteMsg, to.removal.delete, _AWAIT, errors=_FOUND),
        Route(Command.SUBMIT_INIT_SEQ, bodies.SubmitInitSeq, to.removal.clear, _AWAIT, errors=_MINE),
        # The business
        Route(
            Command.UPSTREAM,
            bodies.Upstream,
            to.upstream.report,
            _LATER,
            errors=frozenset({Result.NOT_FOUND, Result.CONFLICT}),
        ),
        # Coming back
        Route(Command.LIST_GROUP, bodies.ListGroup, to.history.list_groups, _AWAIT),
        Route(Command.GROUP_BY_ID, bodies.GetGroupById, to.history.groups_by_id, _AWAIT),
        Route(Command.UNREAD_COUNT, bodies.UnreadCount, to.history.unread, _AWAIT),
        Route(Command.IM_OFFLINE_MSG, bodies.PullMsg, to.history.pull, _AWAIT, errors=_MINE),
        # Groups
        Route(Command.GROUP_CREATE, bodies.GroupCreate, to.groups.create, _AWAIT),
        Route(Command.GROUP_UPDATE, bodies.GroupUpdate, to.groups.update, _AWAIT, errors=_MINE),
        Route(Command.GROUP_DISMISS, bodies.GroupDismiss, to.groups.dismiss, _AWAIT, errors=_MINE),
        Route(Command.GROUP_INVITE, bodies.GroupInvite, to.groups.invite, _AWAIT, errors=_MINE),
        Route(Command.GROUP_JOIN, bodies.GroupJoin, to.groups.join, _AWAIT, errors=_MINE),
        Route(Command.GROUP_QUIT, bodies.GroupQuit, to.groups.quit, _AWAIT, errors=_MINE),
        Route(Command.GROUP_REMOVE, bodies.GroupRemove, to.groups.remove, _AWAIT, errors=_MINE),
        Route(Command.GROUP_MUTE, bodies.GroupMute, to.groups.mute, _AWAIT, errors=_FOUND),
        Route(Command.GROUP_ROLE, bodies.GroupRole, to.groups.role, _AWAIT, errors=_FOUND),
        Route(Command.GROUP_MEMBERS, bodies.GroupMembers, to.groups.members, _AWAIT, errors=_MINE),
        # What a user sets
        Route(Command.CONVERSATION_SET, bodies.ConversationSet, to.settings.set_conversation, _AWAIT, errors=_FOUND),
        Route(Command.BLOCK, bodies.Block, to.settings.block, _AWAIT),
        Route(Command.UNBLOCK, bodies.Unblock, to.settings.unblock, _AWAIT),
        Route(Command.LIST_BLOCKED, bodies.ListBlocked, to.settings.list_blocked, _AWAIT),
        # Notices and presence
        Route(Command.NOTICE_MSG_ACK, bodies.NoticeMsgAck, to.notices.acknowledged, _NONE),
        Route(Command.OFFLINE_NOTICE_MSG, bodies.PullNotice, to.notices.pull, _AWAIT),
        Route(Command.CLEAN_PUSH_COUNT, bodies.CleanPushCount, to.notices.clean_push_count, _AWAIT),
        Route(Command.PRESENCE_QUERY, bodies.PresenceQuery, to.presence.query, _AWAIT),
        Route(Command.PRESENCE_SUBSCRIBE, bodies.PresenceSubscribe, to.presence.subscribe, _AWAIT),
    ]


def acks(receipts: Receipts) -> dict[int, Callable[[ISession, int], None]]:
    """Return who takes the client's ACKs, by the command they answer."""
    return {Command.IM_SEND_MSG: receipts.pushed}
