"""What a user changes on one device, the others learn (CONVERSATION_NOTICE)."""

from imd.ports.delivery import IDelivery, ISession
from imd.wire.bodies import UserData
from imd.wire.commands import Command


def tell_other_devices(delivery: IDelivery, uid: int, session: ISession, changed: UserData | None) -> None:
    """Send the changed conversations to the sessions of ``uid``, who asked on ``session``, but this one.

    ``changed`` is None where nothing changed. By now the session may be somebody else's, so it does not say who asked.
    """
    if changed is not None:
        delivery.tell(Command.CONVERSATION_NOTICE, changed.SerializeToString(), (uid,), (session,))
