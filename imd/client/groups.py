"""The commands for groups."""

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import Message as Body
from twisted.internet.defer import Deferred

from imd.client.answer import Answer, answer
from imd.client.errors import NotFoundError
from imd.client.gaps import Gaps
from imd.client.keeping import Keeper
from imd.client.values import Conversation, Member, member_of
from imd.wire.bodies import (
    GroupCreate,
    GroupDismiss,
    GroupInvite,
    GroupJoin,
    GroupMembers,
    GroupMute,
    GroupQuit,
    GroupRemove,
    GroupRole,
    GroupUpdate,
    UserData,
)
from imd.wire.commands import Command
from imd.wire.enums import JoinPolicy, Role
from imd.wire.results import Result

_PAGE = 500


class Groups:
    """What makes groups and changes them; members learn it by a control message, and so does who asked.

    Each method asks the server, so it needs a connection. It returns the group as it is for me afterwards, and raises
    ResultError as proto/README.md tells of its command, or ClosedError, TimedOutError and BusyError: then asking again
    does no harm.
    """

    def __init__(
        self, request: Callable[[Command, Body], "Deferred[Any]"], keeper: Keeper, gaps: Gaps, new_id: Callable[[], str]
    ) -> None:
        self._request = request
        self._keeper = keeper
        self._gaps = gaps
        self._new_id = new_id

    def create(
        self,
        name: str,
        member_ids: Iterable[int] = (),
        *,
        avatar: str = "",
        extra: str = "",
        join_policy: int = JoinPolicy.INVITATION,
        request_id: str = "",
    ) -> Answer[Conversation]:
        """Make a group of me, its owner, and ``member_ids``; the same ``request_id`` (a uuid) again returns the first.

        Raises TooLargeError beside the usual.
        """
        body = GroupCreate(
            group_name=name,
            member_ids=member_ids,
            avatar=avatar,
            extra=extra,
            join_policy=join_policy,
            request_id=request_id or self._new_id(),
        )
        return self._change(Command.GROUP_CREATE, body)

    def update(
        self,
        group_id: str,
        *,
        name: str | None = None,
        avatar: str | None = None,
        announcement: str | None = None,
        extra: str | None = None,
        join_policy: int | None = None,
    ) -> Answer[Conversation]:
        """Change what is given; the owner and admins may."""
        body = GroupUpdate(
            group_id=group_id,
            group_name=name,
            avatar=avatar,
            announcement=announcement,
            extra=extra,
            join_policy=join_policy,
        )
        return self._change(Command.GROUP_UPDATE, body)

    def invite(self, group_id: str, member_ids: Iterable[int]) -> Answer[Conversation]:
        """Add members; this is also how who asks to join is let in."""
        return self._change(Command.GROUP_INVITE, GroupInvite(group_id=group_id, member_ids=member_ids))

    def join(self, group_id: str, message: str = "") -> Answer[Conversation]:
        """Go into an open group; by approval, ``message`` goes to who approves, and ForbiddenError says so."""
        return self._change(Command.GROUP_JOIN, GroupJoin(group_id=group_id, message=message))

    def quit(self, group_id: str) -> Answer[Conversation]:
        """Leave; what I see of the group stays as it is."""
        return self._change(Command.GROUP_QUIT, GroupQuit(group_id=group_id))

    def dismiss(self, group_id: str) -> Answer[Conversation]:
        """End the group for everybody and for good; the owner may."""
        return self._change(Command.GROUP_DISMISS, GroupDismiss(group_id=group_id))

    def remove(self, group_id: str, member_ids: Iterable[int]) -> Answer[Conversation]:
        """Take members out."""
        return self._change(Command.GROUP_REMOVE, GroupRemove(group_id=group_id, member_ids=member_ids))

    def mute(self, group_id: str, uid: int, until: int) -> Answer[Conversation]:
        """Forbid ``uid``, or everybody where that is 0, to speak until a time (ms since the epoch); 0 lifts it."""
        return self._change(Command.GROUP_MUTE, GroupMute(group_id=group_id, uid=uid, until=until))

    def set_role(self, group_id: str, uid: int, role: Role) -> Answer[Conversation]:
        """Make a member an admin or a plain member, or hand the group over (OWNER); the owner may."""
        return self._change(Command.GROUP_ROLE, GroupRole(group_id=group_id, uid=uid, role=role))

    def members(self, group_id: str) -> Answer[list[Member]]:
        """Return all members, by uid."""

        async def members() -> list[Member]:
            found: list[Member] = []
            body = GroupMembers(group_id=group_id, page_size=_PAGE)
            while True:
                page: UserData = await self._request(Command.GROUP_MEMBERS, body)
                found += map(member_of, page.members)
                if not page.has_more:
                    return found
                body.cursor = page.cursor

        return answer(members())

    def find(self, group_ids: Iterable[str]) -> Answer[list[Conversation]]:
        """Ask how these conversations are now, at most 200; of groups I am not in only what is public (GROUP_BY_ID)."""

        async def find() -> list[Conversation]:
            told = await self._keeper.look_up(group_ids)
            self._gaps.learn(told)
            return told

        return answer(find())

    def _change(self, command: Command, body: Body) -> Answer[Conversation]:
        async def change() -> Conversation:
            told: UserData = await self._request(command, body)
            kept = await self._keeper.keep(told.groups)
            if not kept:
                raise NotFoundError(Result.NOT_FOUND, "the server did not tell of the group")
            self._gaps.learn(kept)
            return kept[0]

        return answer(change())
