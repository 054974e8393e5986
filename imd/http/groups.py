"""Groups: as whoever owns them, whoever that is."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from imd.errors import NotFoundError, NotInGroupError
from imd.http.fields import Cursor, GroupId, Limit, Millis, Text, Uid
from imd.http.routing import NoBody, NoParameters, Respond, Route
from imd.http.scopes import Scope
from imd.logic.actors import SYSTEM
from imd.logic.groups import SETTINGS, Groups
from imd.ports.archive import IArchive
from imd.wire.bodies import (
    GroupCreate,
    GroupDismiss,
    GroupInvite,
    GroupMute,
    GroupRemove,
    GroupRole,
    GroupUpdate,
    UserData,
)
from imd.wire.results import Result

JoinPolicy = Annotated[int, Meta(ge=0, le=2, description="0 by invitation, 1 by approval, 2 open.")]
_CHANGES = frozenset({Result.NOT_FOUND, Result.TOO_LARGE})


class GroupParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which group."""

    group_id: GroupId


class MemberParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which group, and which of its members."""

    group_id: GroupId
    uid: Uid


class MembersParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which group, and which page of its members."""

    group_id: GroupId
    cursor: Cursor = ""
    limit: Limit = 100


class NewGroup(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group to be made; the same request_id of the same owner returns the first one."""

    owner_id: Uid
    group_name: Text
    member_ids: list[Uid] = []
    avatar: Text = ""
    extra: Text = ""
    join_policy: JoinPolicy = 0
    request_id: Text = ""


class GroupChanges(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to change; what is not given stays."""

    group_name: Text | UnsetType = UNSET
    avatar: Text | UnsetType = UNSET
    announcement: Text | UnsetType = UNSET
    extra: Text | UnsetType = UNSET
    join_policy: JoinPolicy | UnsetType = UNSET


class Group(Struct, frozen=True):
    """A conversation as a whole; times in ms since the epoch.

    ``group_type`` is 1 for a single chat, 2 for a group, 3 for the broadcast stream. Messages up to ``floor_seq`` were
    deleted by age. Until ``mute_until`` only the owner and the admins speak.
    """

    group_id: str
    group_type: int
    group_name: str
    avatar: str
    announcement: str
    extra: str
    owner_id: int
    join_policy: int
    member_count: int
    max_seq: int
    floor_seq: int
    mute_until: int
    is_dismissed: bool
    created: int
    send_time: int


class Member(Struct, frozen=True):
    """A member; ``role`` is 1 for the owner, 2 for an admin, 3 for a member. Times in ms since the epoch."""

    uid: int
    role: int
    mute_until: int
    joined_time: int
    receive_seq: int
    read_seq: int
    name: str


class Members(Struct, frozen=True):
    """A page of members by uid; ``cursor`` is empty on the last one."""

    members: list[Member]
    cursor: str


class MemberIds(Struct, frozen=True, forbid_unknown_fields=True):
    """Users."""

    uids: Annotated[list[Uid], Meta(min_length=1)]


class RoleRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """1 hands the group over; its owner becomes a member."""

    role: Literal[1, 2, 3]


class MuteRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Until when; 0 lifts it."""

    until: Millis


@dataclass(frozen=True, slots=True)
class _Actor:
    uid: int


_SYSTEM = _Actor(SYSTEM)


class GroupRoutes:
    """Looks after groups, with the rights of their owners."""

    def __init__(self, groups: Groups, archive: IArchive) -> None:
        self._groups = groups
        self._archive = archive

    def routes(self) -> list[Route]:
        """Return the table."""
        read, write = Scope.GROUPS_READ, Scope.GROUPS_WRITE
        of, found = "/v1/groups/{group_id}", frozenset({Result.NOT_FOUND})
        group, member = GroupParameters, MemberParameters

        def change(
            method: str, path: str, summary: str, respond: Respond, about: type[Struct], body: type[Struct] = NoBody
        ) -> Route:
            return Route(method, path, summary, respond, Group, write, about, body, _CHANGES, audited=True)

        return [
            Route("GET", of, "Show a conversation", self.show, Group, read, group, errors=found),
            Route("GET", f"{of}/members", "List members", self.members, Members, read, MembersParameters, errors=found),
            change("POST", "/v1/groups", "Make a group", self.create, NoParameters, NewGroup),
            change("PATCH", of, "Change a group", self.update, group, GroupChanges),
            change("DELETE", of, "Dismiss a group", self.dismiss, group),
            change("POST", f"{of}/members", "Bring users in", self.invite, group, MemberIds),
            change("DELETE", f"{of}/members/{{uid}}", "Put a member out", self.remove, member),
            change("PUT", f"{of}/members/{{uid}}/role", "Give a member a role", self.role, member, RoleRequest),
            change("PUT", f"{of}/members/{{uid}}/mute", "Silence a member", self.mute, member, MuteRequest),
            change("PUT", f"{of}/mute", "Silence all but the owner and the admins", self.mute_all, group, MuteRequest),
        ]

    async def show(self, parameters: GroupParameters, _body: NoBody) -> Group:
        """Show a conversation."""
        return await self._group(parameters.group_id)

    async def members(self, parameters: MembersParameters, _body: NoBody) -> Members:
        """List members."""
        found, cursor = await self._archive.group_members(parameters.group_id, parameters.cursor, parameters.limit)
        if not found:
            await self._group(parameters.group_id)
        return Members([Member(*member) for member in found], cursor)

    async def create(self, _parameters: NoParameters, request: NewGroup) -> Group:
        """Make a group, in its owner's name."""
        made = await self._groups.create(
            _Actor(request.owner_id),
            GroupCreate(
                group_name=request.group_name,
                member_ids=request.member_ids,
                avatar=request.avatar,
                extra=request.extra,
                join_policy=request.join_policy,
                request_id=request.request_id,
            ),
        )
        return await self._group(made.groups[0].group_id)

    async def update(self, parameters: GroupParameters, request: GroupChanges) -> Group:
        """Change what a group is called, and how it is shown and joined."""
        given = {name: value for name in SETTINGS if (value := getattr(request, name)) is not UNSET}
        group_id = parameters.group_id
        return await self._changed(group_id, self._groups.update(_SYSTEM, GroupUpdate(group_id=group_id, **given)))

    async def dismiss(self, parameters: GroupParameters, _body: NoBody) -> Group:
        """End a group."""
        group_id = parameters.group_id
        return await self._changed(group_id, self._groups.dismiss(_SYSTEM, GroupDismiss(group_id=group_id)))

    async def invite(self, parameters: GroupParameters, request: MemberIds) -> Group:
        """Bring users in."""
        group_id = parameters.group_id
        asked = GroupInvite(group_id=group_id, member_ids=request.uids)
        return await self._changed(group_id, self._groups.invite(_SYSTEM, asked))

    async def remove(self, parameters: MemberParameters, _body: NoBody) -> Group:
        """Put a member out; the owner has to hand the group over before."""
        group_id = parameters.group_id
        asked = GroupRemove(group_id=group_id, member_ids=[parameters.uid])
        return await self._changed(group_id, self._groups.remove(_SYSTEM, asked))

    async def role(self, parameters: MemberParameters, request: RoleRequest) -> Group:
        """Give a member a role."""
        group_id = parameters.group_id
        asked = GroupRole(group_id=group_id, uid=parameters.uid, role=request.role)
        return await self._changed(group_id, self._groups.role(_SYSTEM, asked))

    async def mute(self, parameters: MemberParameters, request: MuteRequest) -> Group:
        """Silence a member."""
        group_id = parameters.group_id
        asked = GroupMute(group_id=group_id, uid=parameters.uid, until=request.until)
        return await self._changed(group_id, self._groups.mute(_SYSTEM, asked))

    async def mute_all(self, parameters: GroupParameters, request: MuteRequest) -> Group:
        """Silence everybody but the owner and the admins."""
        group_id = parameters.group_id
        return await self._changed(
            group_id, self._groups.mute(_SYSTEM, GroupMute(group_id=group_id, until=request.until))
        )

    async def _changed(self, group_id: str, change: Awaitable[UserData]) -> Group:
        try:
            await change
        except NotInGroupError:
            raise NotFoundError(f"there is no group {group_id}, or it was dismissed") from None
        return await self._group(group_id)

    async def _group(self, group_id: str) -> Group:
        found = await self._archive.group_info(group_id)
        if found is None:
            raise NotFoundError(f"there is no conversation {group_id}")
        return Group(**{name: getattr(found, name) for name in Group.__struct_fields__})
