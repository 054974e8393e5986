"""A login system that is asked over HTTP at each login, within bounds of time, of requests and of what it answers."""

from typing import Any, Protocol

from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from imd.errors import AuthExpiredError, AuthFailedError, UnavailableError
from imd.fetch import Fetch, FetchError, Response, within
from imd.model import Identity
from imd.ports.sso import ISso, LoginAttempt
from imd.sso.breaker import Breaker
from imd.sso.turns import Turns
from imd.sso.verified import Verified

MAX_BODY = 64 * 1024
MAX_WAITING = 10_000
"""Logins that may wait for their turn to be asked about."""

RETRY_SECONDS = 0.1


class Question(Protocol):
    """How a kind of login system is asked, and what its answers mean."""

    content_type: str

    def body(self, attempt: LoginAttempt) -> bytes:
        """Return what is posted."""

    def judge(self, attempt: LoginAttempt, response: Response) -> Identity:
        """Return what the answer says. Raises AuthFailedError, AuthExpiredError, and FetchError where it is none."""


@implementer(ISso)
class RemoteSso:
    """Asks at the address of ``fetch``, at most ``max_requests`` at a time.

    A login waits for at most ``timeout`` seconds, its turn and all ``retries`` included; each of these follows a lost
    connection or a 5xx.
    """

    _log = Logger(namespace="imd.sso")

    def __init__(
        self,
        clock: Any,
        fetch: Fetch,
        question: Question,
        breaker: Breaker,
        verified: Verified,
        *,
        timeout: float = 3.0,
        retries: int = 1,
        max_requests: int = 100,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._clock = clock
        self._fetch = fetch
        self._question = question
        self._breaker = breaker
        self._verified = verified
        self._timeout = timeout
        self._retries = retries
        self._retry_seconds = retry_seconds
        self._turns = Turns(max_requests)

    async def verify(self, attempt: LoginAttempt) -> Identity:
        """Return whom the login system says the token belongs to.

        Raises AuthFailedError, AuthExpiredError, and UnavailableError where it can't be asked.
        """
        known = self._verified.get(attempt)
        if known is not None:
            return known
        self._breaker.check()
        if self._turns.waiting >= MAX_WAITING:
            raise UnavailableError("the login system can't keep up; try again later")
        try:
            identity = await within(self._clock, self._timeout, self._in_turn(attempt))
        except FetchError as error:
            raise UnavailableError("the login system can't be asked; try again later") from error
        self._verified.put(attempt, identity)
        return identity

    def close(self) -> None:
        """Close the connections."""
        self._fetch.close()

    async def _in_turn(self, attempt: LoginAttempt) -> Identity:
        await self._turns.take()
        try:
            self._breaker.enter()
            try:
                identity = await self._ask(attempt)
            except (AuthFailedError, AuthExpiredError):
                self._breaker.succeeded()
                raise
            except CancelledError:
                self._breaker.failed(f"no answer in {self._timeout:g} s")
                raise
            except BaseException as error:
                self._breaker.failed(error if isinstance(error, FetchError) else type(error).__name__)
                raise
            self._breaker.succeeded()
            return identity
        finally:
            self._turns.give_back()

    async def _ask(self, attempt: LoginAttempt) -> Identity:
        body = self._question.body(attempt)
        for retries_left in range(self._retries, -1, -1):
            try:
                response = await self._fetch.post(body, self._question.content_type)
                if response.status >= 500:
                    raise FetchError(f"it answered {response.status}", may_repeat=True)
                return self._question.judge(attempt, response)
            except FetchError as error:
                if not (retries_left and error.may_repeat):
                    raise
            await deferLater(self._clock, self._retry_seconds)
        raise AssertionError("the last try returns or raises")
