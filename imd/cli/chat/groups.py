"""The commands for conversations: to list, open, make and leave them, and to say who is in and may speak."""

from google.protobuf.message import Message

from imd.cli.chat.screen import group_table
from imd.cli.chat.talk import MAX_PAGES, Talk
from imd.cli.chat.verb import Typed, Verb, positive, uids
from imd.wire.bodies import GroupCreate, GroupInvite, GroupJoin, GroupMute, GroupQuit, ImGroup, ListGroup
from imd.wire.commands import Command


async def _list(talk: Talk, _typed: Typed, _words: list[str]) -> None:
    groups: list[ImGroup] = []
    request = ListGroup()
    for _ in range(MAX_PAGES):
        page = await talk.ask(Command.LIST_GROUP, request)
        groups += page.groups
        if not page.has_more:
            break
        request.cursor = page.cursor
    table = group_table(groups, talk.uid, talk.width, talk.zone)
    talk.say_all(table if groups else ["You have no conversations yet."])


async def _open(talk: Talk, _typed: Typed, words: list[str]) -> None:
    [group_id] = words
    await talk.go_to(group_id)


async def _make(talk: Talk, typed: Typed, words: list[str]) -> None:
    name, *members = words
    request = GroupCreate(group_name=name, member_ids=uids(members), request_id=typed.id)
    made = await talk.ask(Command.GROUP_CREATE, request)
    group_id = made.groups[0].group_id
    talk.say(f"The group {group_id} is made; the others type: imctl chat UID --group {group_id}")
    await talk.go_to(group_id)


async def _invite(talk: Talk, _typed: Typed, words: list[str]) -> None:
    request = GroupInvite(group_id=talk.conversation.group_id, member_ids=uids(words))
    await _change(talk, Command.GROUP_INVITE, request)


async def _join(talk: Talk, _typed: Typed, words: list[str]) -> None:
    group_id, *message = words
    await talk.ask(Command.GROUP_JOIN, GroupJoin(group_id=group_id, message=" ".join(message)))
    await talk.go_to(group_id)


async def _mute(talk: Talk, _typed: Typed, words: list[str]) -> None:
    whom, time = words
    uid = 0 if whom == "all" else positive(whom)
    until = 0 if time == "off" else talk.now_ms() + 1000 * positive(time)
    await _change(talk, Command.GROUP_MUTE, GroupMute(group_id=talk.conversation.group_id, uid=uid, until=until))


async def _quit(talk: Talk, _typed: Typed, _words: list[str]) -> None:
    group_id = talk.conversation.group_id
    await talk.ask(Command.GROUP_QUIT, GroupQuit(group_id=group_id))
    talk.say(f"You have left {group_id}; /groups lists where you can go.")


async def _change(talk: Talk, command: Command, request: Message) -> None:
    """Ask for a change of the open group; the control message that comes of it is what tells of it."""
    before = talk.conversation.end()
    answer = await talk.ask(command, request)
    if answer.groups and answer.groups[0].max_seq <= before:
        talk.say("That is so already.")


VERBS = (
    Verb("/groups", "list your conversations; @ where somebody mentions you", _list),
    Verb("/open ID", "go to another conversation; the broadcasts are in system", _open),
    Verb("/new NAME UID…", "make a group, and go there", _make),
    Verb("/invite UID…", "bring others into this group", _invite),
    Verb("/join ID [TEXT]", "join a group, and go there; TEXT is for those who have to agree", _join),
    Verb("/quit", "leave this group", _quit),
    Verb("/mute UID|all SECONDS|off", "forbid one member, or all, to speak here, or allow it again", _mute),
)
