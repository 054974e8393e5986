"""/healthz, /readyz and /metrics, on a listener of their own, for who watches over the node."""

from collections.abc import Callable, Sequence
from http import HTTPStatus

from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from imd.http.problems import HttpError
from imd.http.site import LimitedRequest

TEXT = "text/plain; charset=utf-8"
METRICS = "text/plain; version=0.0.4; charset=utf-8"


class Operations(Resource):
    """Answers without a key: it tells no secrets, and listens on the loopback interface.

    ``unready`` returns why the node should get no clients now, nothing where it should. ``metrics`` are Prometheus'.
    """

    isLeaf = True
    _log = Logger()

    def __init__(self, unready: Callable[[], Sequence[str]], metrics: Callable[[], bytes]) -> None:
        super().__init__()
        self._unready = unready
        self._metrics = metrics

    def render(self, request: LimitedRequest) -> int:
        """Answer at once."""
        if request.method not in (b"GET", b"HEAD"):
            request.refuse(HttpError(HTTPStatus.METHOD_NOT_ALLOWED, "expected GET", (("Allow", "GET"),)))
        elif request.path == b"/healthz":
            request.reply(HTTPStatus.OK, TEXT, b"ok\n", {})
        elif request.path == b"/readyz":
            reasons = self._unready()
            status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
            request.reply(status, TEXT, ("\n".join(reasons) or "ok").encode() + b"\n", {})
        elif request.path == b"/metrics":
            request.reply(HTTPStatus.OK, METRICS, self._metrics(), {})
        else:
            request.refuse(HttpError(HTTPStatus.NOT_FOUND, "there are /healthz, /readyz and /metrics"))
        return NOT_DONE_YET
