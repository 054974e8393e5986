"""The commands: one table, and what is said where one can't be done."""

from collections.abc import Callable

from imd.cli.chat import groups, messages, who
from imd.cli.chat.talk import Talk
from imd.cli.chat.verb import Typed, Verb
from imd.cli.chat.words import plain
from imd.client.errors import ResultError


class Commands:
    """Does what is typed after a slash; ``leave`` ends the chat."""

    def __init__(self, talk: Talk, leave: Callable[[], None]) -> None:
        self._talk = talk
        self._leave = leave
        verbs = (
            *groups.VERBS,
            *who.VERBS,
            *messages.VERBS,
            Verb("/help", "list these commands", self._help),
            Verb("/exit", "end the chat, as Ctrl-D does", self._exit),
        )
        self._verbs = {verb.usage.split()[0]: verb for verb in verbs}

    async def do(self, typed: Typed) -> bool:
        """Do one, and return False where the daemon refused it."""
        name, *words = typed.line.split()
        verb = self._verbs.get(name)
        if verb is None:
            self._talk.say(
                f"There is no {name}; /help lists the commands, and a blank before the slash sends the line."
            )
            return True
        try:
            await verb.run(self._talk, typed, words)
        except ResultError as error:
            self._talk.say(f"{name} was refused: {plain(error)}.")
            return False
        except ValueError:
            self._talk.say(f"It is written {verb.usage}.")
        return True

    async def _help(self, _talk: Talk, _typed: Typed, _words: list[str]) -> None:
        width = max(len(verb.usage) for verb in self._verbs.values())
        self._talk.say_all(f"{verb.usage:<{width}}  {verb.purpose}" for verb in self._verbs.values())

    async def _exit(self, _talk: Talk, _typed: Typed, _words: list[str]) -> None:
        self._leave()
