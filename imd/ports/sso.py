"""The company's login system."""

from dataclasses import dataclass, field

from zope.interface import Interface

from imd.model import Identity


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """What a client says of itself when it logs in; nothing of it is checked yet but that ``uid`` is one."""

    uid: int
    token: str = field(repr=False)
    device_id: str = ""
    client_type: int = 0
    app_id: str = ""


class ISso(Interface):
    """The company's login system."""

    async def verify(attempt: LoginAttempt) -> Identity:
        """Say whom the token belongs to.

        Raises AuthFailedError where it is not ``attempt.uid``'s, AuthExpiredError where it was, UnavailableError where
        the login system can't be asked, which it says within a few seconds. No error tells the token.
        """

    def close() -> None:
        """Close the connections to the login system."""
