"""Messages that no session sends: a business server's, on behalf of a user or of the system."""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from imd.errors import RefusedError
from imd.logic.actors import SYSTEM
from imd.logic.chat import Chat
from imd.logic.ids import check_uid
from imd.ports.delivery import ISender
from imd.wire.bodies import ImMsg, ImMsgAck


@implementer(ISender)
class Origin:
    """Stands where a session does: its ``answered`` fires with the ACK of the one message it sends."""

    name = ""

    def __init__(self, uid: int, is_admin: bool) -> None:
        self.uid = uid
        self.is_admin = is_admin
        self.answered: Deferred[ImMsgAck] = Deferred()

    def answer(self, command: int, trace_id: int, body: bytes) -> None:  # noqa: ARG002 - as a session
        """Take the ACK."""
        self.answered.callback(ImMsgAck.FromString(body))

    def refuse(self, command: int, trace_id: int, error: RefusedError) -> None:  # noqa: ARG002 - as a session
        """Take the refusal."""
        self.answered.errback(error)


class Sending:
    """Sends by the same way and under the same rules as a client does."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def send(self, message: ImMsg, sender_id: int, *, to_everybody: bool = False) -> ImMsgAck:
        """Send ``message`` on behalf of a user, or of the system where ``sender_id`` is SYSTEM; return its ACK.

        The system may write into every conversation. ``to_everybody`` lets a broadcast pass. The same msg_id again
        returns the first ACK. Raises what a client would be refused with.
        """
        origin = Origin(sender_id if sender_id == SYSTEM else check_uid(sender_id, "sender_id"), to_everybody)
        if sender_id == SYSTEM:
            self._chat.send_as_system(origin, message)
        else:
            self._chat.send(origin, 0, message)
        return await origin.answered
