"""Messages that no session sends: a business server's, on behalf of a user or of the system."""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from imd.errors import RefusedError
from imd.logic.actors import SYSTEM
from imd.logic.chat import Chat
from imd.logic.ids import check_uid
from imd.ports.delivery import ISender
from imd.ports.users import IUserStore
from imd.wire.bodies import ImMsg, ImMsgAck


@implementer(ISender)
class Origin:
    """Stands where a session does: its ``answered`` fires with the ACK of the one message it sends."""

    def __init__(self, uid: int, name: str, is_admin: bool) -> None:
        self.uid = uid
        self.name = name
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

    def __init__(self, chat: Chat, users: IUserStore) -> None:
        self._chat = chat
        self._users = users

    async def send(self, message: ImMsg, sender_id: int, *, to_everybody: bool = False) -> ImMsgAck:
        """Send ``message`` on behalf of a user, or of the system where ``sender_id`` is SYSTEM; return its ACK.

        A user is called as the login system has named them, where it has; the system may write into every
        conversation. ``to_everybody`` lets a broadcast pass. The same msg_id again
        returns the first ACK. Raises what a client would be refused with.
        """
        if sender_id == SYSTEM:
            origin = Origin(SYSTEM, "", to_everybody)
            self._chat.send_as_system(origin, message)
        else:
            account = await self._users.account(check_uid(sender_id, "sender_id"))
            origin = Origin(sender_id, account.name, to_everybody)
            self._chat.send(origin, 0, message)
        return await origin.answered
