"""Why a request has no answer."""


class ClientError(Exception):
    """The root: the text is a sentence."""


class ResultError(ClientError):
    """The server refused the request: ``result`` says how (Result), ``reason`` why, in the server's words."""

    def __init__(self, result: int, reason: str) -> None:
        super().__init__(reason or f"the server answered with result {result}")
        self.result = result
        self.reason = reason


class ClosedError(ClientError):
    """The connection has ended; whether the server did what was asked can't be known."""


class TimedOutError(ClientError):
    """No answer came in time; whether the server did what was asked can't be known."""


class BusyError(ClientError):
    """Too many requests wait for their answers; this one was not sent."""
