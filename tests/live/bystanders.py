"""Two users who chat while others send what is no good."""

import itertools

from imd.wire.bodies import ImMsgAck
from imd.wire.commands import Command

from .daemon import Daemon
from .device import message
from .peer import Peer


class Bystanders:
    """They chat on the same two connections all the while."""

    def __init__(self, daemon: Daemon, first: int, second: int) -> None:
        self._sides = {first: Peer(daemon), second: Peer(daemon)}
        self._said = itertools.count(1)
        for uid, side in self._sides.items():
            side.login(uid)

    def chat(self) -> None:
        """Each says a word, and hears the other's."""
        for speaker, listener in itertools.permutations(self._sides):
            seq_id = next(self._said)
            said = self._sides[speaker].ask(Command.IM_SEND_MSG, message(f"{seq_id}", to=listener))
            assert ImMsgAck.FromString(said.body).seq_id == seq_id
            assert self._sides[listener].hear().msg_body == f"{seq_id}"

    def close(self) -> None:
        """Close."""
        for side in self._sides.values():
            side.close()
