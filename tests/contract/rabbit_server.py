"""A real RabbitMQ, which tests start, pause and kill: Debian's rabbitmq-server, which is not to be had from PyPI."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pika
import pytest
from pika.exceptions import AMQPError

from imd.cli.bench.daemon import free_port

WITHIN = 60.0
"""Seconds in which it has started."""

_INSTALLED = Path("/usr/lib/rabbitmq/lib")


def require_rabbitmq() -> None:
    """Skip the test, loudly, where there is no rabbitmq-server; where .ci/run runs, its absence is a failure."""
    if _program() is None or shutil.which("epmd") is None:
        assert not os.environ.get("CI"), "rabbitmq-server is not installed, which .ci/run does"
        pytest.skip("RABBITMQ IS NOT TESTED HERE: apt-get install rabbitmq-server")


class RabbitServer:
    """A broker of its own, with its data in a folder of its own, and Erlang's port mapper of its own."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="imd-rabbit-"))
        self.port = free_port()
        self._mapper: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "RabbitServer":
        (self._home / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.console = true\n")
        (self._home / "env.conf").touch()
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home),
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"imd{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self._home),
            "RABBITMQ_LOG_BASE": str(self._home),
            "RABBITMQ_CONFIG_FILE": str(self._home / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self._home / "env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._home / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
        }
        self._mapper = self._run("epmd")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}"

    def start(self) -> None:
        program = _program()
        assert program is not None
        self._process = self._run(str(program))
        deadline = time.monotonic() + WITHIN
        while not self._answers():
            assert self._process.poll() is None, f"rabbitmq-server has ended: {self.log}"
            assert time.monotonic() < deadline, f"rabbitmq-server does not answer: {self.log}"
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def pause(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGCONT)

    @property
    def log(self) -> str:
        return (self._home / "log").read_text()[-5000:]

    def take(self, queue: str) -> list[tuple[Any, bytes]]:
        """Take all that is in a queue: the properties and the body of each."""
        taken = []
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            channel = connection.channel()
            while True:
                method, properties, body = channel.basic_get(queue, auto_ack=True)
                if method is None:
                    return taken
                taken.append((properties, body))

    def delete(self, queue: str) -> None:
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            connection.channel().queue_delete(queue)

    def declare(self, queue: str, **settings: Any) -> Any:
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            return connection.channel().queue_declare(queue, **settings)

    def _answers(self) -> bool:
        try:
            pika.BlockingConnection(pika.URLParameters(self.url)).close()
        except (AMQPError, OSError):
            return False
        return True

    def _run(self, *command: str) -> "subprocess.Popen[bytes]":
        with (self._home / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                env=self._environment,
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def _program() -> Path | None:
    return next(iter(sorted(_INSTALLED.glob("rabbitmq_server-*/sbin/rabbitmq-server"))), None)
