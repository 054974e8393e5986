"""The command for single messages: to take one back."""

from imd.cli.chat.talk import Talk
from imd.cli.chat.verb import Typed, Verb, positive
from imd.wire.bodies import RevokeMsg
from imd.wire.commands import Command
from imd.wire.enums import MsgStatus


async def _revoke(talk: Talk, _typed: Typed, words: list[str]) -> None:
    conversation = talk.conversation
    if words:
        [word] = words
        seq_id = positive(word)
        message = await conversation.message(seq_id)
        if message is not None and message.msg_status == MsgStatus.REVOKED:
            talk.say(f"Message {seq_id} was taken back before.")
            return
        msg_id = message.msg_id if message is not None else ""
        missing = f"There is no message {seq_id} here."
    else:
        seq_id, msg_id = conversation.marks.newest()
        missing = "Which one? None of yours is to be seen: name its number, as in /revoke 12."
    if not msg_id:
        talk.say(missing)
        return
    await talk.ask(Command.REVOKE_MSG, RevokeMsg(group_id=conversation.group_id, msg_id=msg_id))
    conversation.marks.remove(seq_id)


VERBS = (Verb("/revoke [NUMBER]", "take back a message, your last one if you name none", _revoke),)
