"""A real HTTP server that takes webhooks as a business would: it verifies what imd's documents say, by itself."""

import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from imd.cli.bench.daemon import free_port

SECRET = "0b7f6c1d94e2438aa5d1c3f09e8b7265"


class WebhookServer:
    """Takes POSTs on threads of its own; ``answer`` says with which status, and may take its time."""

    def __init__(self) -> None:
        self.port = free_port()
        self.received: list[dict[str, Any]] = []
        self.forged: list[str] = []
        self.connections = 0
        self.answer: Callable[[dict[str, Any]], int] = lambda _: 200
        self.answer_body = b""
        self._server: ThreadingHTTPServer | None = None
        self._sockets: list[socket.socket] = []
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "WebhookServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/imd"

    def start(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                outer.connections += 1
                outer._sockets.append(self.connection)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                timestamp, signature = self.headers["Imd-Timestamp"], self.headers["Imd-Signature"]
                digest = hmac.new(SECRET.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
                if signature != f"sha256={digest}" or abs(time.time() - int(timestamp)) > 300:
                    outer.forged.append(signature)
                report = json.loads(body)
                status = outer.answer(report)
                if 200 <= status < 300:
                    outer.received.append(report)
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                if status in (301, 302, 307):
                    self.send_header("Location", outer.url)
                self.send_header("Content-Length", str(len(outer.answer_body)))
                self.end_headers()
                self.wfile.write(outer.answer_body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that leaves is no error."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            for opened in self._sockets:
                with suppress(OSError):
                    opened.shutdown(socket.SHUT_RDWR)
            self._sockets.clear()
