"""The command that tells who is here, and who has read what."""

from collections.abc import Sequence

from imd.cli.chat.screen import member_table
from imd.cli.chat.talk import MAX_PAGES, Talk
from imd.cli.chat.verb import Typed, Verb, positive
from imd.cli.chat.words import plain, presence, users
from imd.client.errors import ResultError
from imd.wire.bodies import GroupMember, GroupMembers, ListMsgReader, PresenceQuery
from imd.wire.commands import Command

_MEMBERS_PAGE = 500
_MAX_ASKED = 500
"""Users that one PRESENCE_QUERY may ask for."""


async def _who(talk: Talk, _typed: Typed, words: list[str]) -> None:
    if words:
        [word] = words
        await _readers(talk, positive(word))
    elif talk.conversation.peer:
        await _peer(talk, talk.conversation.peer)
    else:
        await _members(talk)


async def _readers(talk: Talk, seq_id: int) -> None:
    request = ListMsgReader(group_id=talk.conversation.group_id, seq_id=seq_id)
    answer = await talk.ask(Command.LIST_MSG_READER, request)
    readers, unreaders = answer.readers, answer.unreaders
    total = len(readers) + len(unreaders)
    have, have_not = users(readers, talk.uid), users(unreaders, talk.uid)
    if not total:
        told = "is for nobody else"
    elif total == 1:
        told = f"was read by {have}" if have else f"was not read by {have_not} yet"
    elif not unreaders:
        told = f"was read by all {total}: {have}"
    elif not readers:
        told = f"was read by none of {total} yet: {have_not}"
    else:
        told = f"was read by {len(readers)} of {total}: {have}; not yet by {have_not}"
    talk.say(f"Message {seq_id} {told}.")


async def _peer(talk: Talk, peer: int) -> None:
    online = await _online(talk, [peer])
    if online is not None:
        talk.say(f"{peer} is {presence(online[peer])}.")
    group = await talk.conversation.look_up()
    if group is not None and group.peer_receive_seq:
        talk.say(f"{peer} has got everything up to {group.peer_receive_seq}, and read up to {group.peer_read_seq}.")


async def _members(talk: Talk) -> None:
    members: list[GroupMember] = []
    request = GroupMembers(group_id=talk.conversation.group_id, page_size=_MEMBERS_PAGE)
    for _ in range(MAX_PAGES):
        page = await talk.ask(Command.GROUP_MEMBERS, request)
        members += page.members
        if not page.has_more:
            break
        request.cursor = page.cursor
    online = await _online(talk, [member.uid for member in members])
    talk.say_all(member_table(members, online, talk.now_ms(), talk.width, talk.zone))


async def _online(talk: Talk, uids: Sequence[int]) -> dict[int, Sequence[int]] | None:
    """Return the client types of each, or None, which is told, where that is refused."""
    online: dict[int, Sequence[int]] = dict.fromkeys(uids, ())
    for start in range(0, len(uids), _MAX_ASKED):
        try:
            answer = await talk.ask(Command.PRESENCE_QUERY, PresenceQuery(uids=uids[start : start + _MAX_ASKED]))
        except ResultError as error:
            talk.say(f"Who is online can't be shown: {plain(error)}.")
            return None
        online.update((known.uid, known.client_types) for known in answer.users)
    return online


VERBS = (Verb("/who [NUMBER]", "list who is here, or who has read a message", _who),)
