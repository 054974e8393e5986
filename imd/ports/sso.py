"""The company's login system."""

from zope.interface import Interface

from imd.model import Identity


class ISso(Interface):
    """The company's login system."""

    async def verify(uid: int, token: str) -> Identity:
        """Say whom the token belongs to.

        Raises AuthFailedError where it is not ``uid``'s, AuthExpiredError where it was, UnavailableError where the
        login system can't be asked.
        """
