"""The HTTP API, asked by a program that waits for the answer; and how each refusal ends it."""

import json
import ssl
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from imd.errors import ConfigError, StartError

NOT_FOUND, AWAY, NOT_ALLOWED = 66, 75, 77
"""Exit codes, of sysexits.h: EX_NOINPUT, EX_TEMPFAIL, EX_NOPERM; any other refusal is 1."""

SECONDS = 30.0
_EXIT_CODES: Mapping[int, int] = {
    HTTPStatus.UNAUTHORIZED: NOT_ALLOWED,
    HTTPStatus.FORBIDDEN: NOT_ALLOWED,
    HTTPStatus.NOT_FOUND: NOT_FOUND,
    HTTPStatus.TOO_MANY_REQUESTS: AWAY,
    HTTPStatus.SERVICE_UNAVAILABLE: AWAY,
}
_MAX_ANSWER = 64 * 1024 * 1024


class ApiClient:
    """Asks the API at ``url`` with ``key``; ``ca_file`` holds the certificates to trust, empty: the machine's.

    Raises ConfigError where the address or a file can't be used.
    """

    def __init__(self, url: str, key: str, ca_file: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{url!r} is no address of the API: expected such as http://127.0.0.1:7680.")
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        try:
            context = ssl.create_default_context(cafile=ca_file or None)
        except OSError as error:
            raise ConfigError(f"The certificates in {ca_file} can't be used: {error.strerror or error}.") from error
        # What HTTP_PROXY says is not for an address of one's own.
        self._opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))

    def ask(
        self, method: str, path: Sequence[str | int], query: Mapping[str, Any] | None = None, body: Any = None
    ) -> dict[str, Any]:
        """Return the answer. Raises StartError with the exit code of the refusal."""
        address = "/".join((self._url, "v1", *(quote(str(part), safe="") for part in path)))
        if query:
            address += "?" + urlencode(query, doseq=True)
        content = None if body is None else json.dumps(body).encode()
        headers = self._headers | ({} if content is None else {"Content-Type": "application/json"})
        request = Request(address, content, headers, method=method)  # noqa: S310 - http or https
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                found: dict[str, Any] = json.loads(answer.read(_MAX_ANSWER))
                return found
        except HTTPError as error:
            raise StartError(_complaint(error), _EXIT_CODES.get(error.code, 1)) from None
        except URLError as error:
            raise StartError(f"{self._url} can't be reached: {error.reason}", AWAY) from None
        except OSError as error:
            raise StartError(f"{self._url} did not answer: {error}", AWAY) from None
        except ValueError:
            raise StartError(f"what answers at {self._url} is not imd's API", 1) from None


def read_key(file: str) -> str:
    """Return the key in a file. Raises ConfigError."""
    try:
        key = Path(file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise ConfigError(f"The key file {file} can't be read: {reason}.") from None
    if not key or len(key.split()) > 1:
        raise ConfigError(f"The key file {file} holds no key: expected the line that imctl apikey create has printed.")
    return key


def _complaint(error: HTTPError) -> str:
    try:
        problem = json.loads(error.read(_MAX_ANSWER))
        place = f" (at {problem['path']})" if problem.get("path") else ""
        return f"{problem['detail']}{place}"
    except (ValueError, KeyError, TypeError, OSError):
        return f"the API answered {error.code} {error.reason}"
