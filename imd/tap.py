"""The daemon: the only place that knows every part, and joins them into one service."""

import gc
import os
import random
import secrets
import signal
import sys
import time
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from imd.config import Config
from imd.dispatch import Dispatcher
from imd.errors import ConfigError, StartError
from imd.gateway.factory import Gateway
from imd.gateway.limits import Limits
from imd.gateway.outbox import Outbox
from imd.gateway.proxied import ProxiedGateway
from imd.gateway.sessions import Sessions
from imd.http.figures import figures
from imd.http.servers import HttpLimits, HttpServers
from imd.http.table import Services as ApiServices
from imd.listening import PROXIED, api_endpoint, gateway_endpoint
from imd.logic.accounts import Accounts
from imd.logic.broadcasts import Broadcasts
from imd.logic.chat import Chat
from imd.logic.commands import Services, acks, routes
from imd.logic.groups import Groups
from imd.logic.history import History
from imd.logic.login import Login
from imd.logic.members import MembersCache
from imd.logic.notices import Notices
from imd.logic.presence import PresenceWatch
from imd.logic.pushes import Pushes
from imd.logic.receipts import Receipts
from imd.logic.recovery import Recovery
from imd.logic.removal import Removal
from imd.logic.retention import Retention
from imd.logic.sending import Sending
from imd.logic.settings import Settings
from imd.logic.sweep import Sweep
from imd.logic.upstream import Upstream
from imd.node import DataLock, notify_systemd, version
from imd.options import Options
from imd.ports.delivery import IDelivery
from imd.ports.presence import Entry, IPresence
from imd.presence.cluster import Cluster
from imd.presence.memory import MemoryPresence
from imd.presence.settings import redis_of
from imd.queues.relay import Relay
from imd.queues.relays import Relays
from imd.queues.settings import attempts_of, bounds_of, queues_of
from imd.sso.jwt import issue as issue_token
from imd.sso.secret import load_or_create
from imd.sso.settings import sso_of
from imd.storage.open import open_database
from imd.storage.store import SqlStore
from imd.wire.bodies import CloseChannel, UserLoginAck
from imd.wire.commands import Command

BAD_CONFIGURATION = 78
IN_USE = 1

PRESENCE_DELAY = 0.05
"""Seconds in which changes of presence gather, to be told together."""

_DAY_MS = 86_400_000

RECONNECT_WITHIN_MS = 2000
"""Clients of a node that stops come back spread over this time."""


def makeService(options: Options) -> "Daemon":
    """Return the daemon's service; leaves with exit code 78 and one sentence where the configuration is bad."""
    from twisted.internet import reactor  # noqa: PLC0415 - installed when twistd says so, not at import

    try:
        config = options.load(os.environ)
        daemon = Daemon(reactor, config, os.environ)
        if options["check"]:
            daemon.check()
            sys.stdout.write("The configuration is good.\n")
            raise SystemExit(0)
    except ConfigError as error:
        sys.stderr.write(f"imd: {error}\n")
        raise SystemExit(BAD_CONFIGURATION) from None
    return daemon


class Daemon(Service):
    """One node: its parts, started and stopped in order."""

    _log = Logger(namespace="imd")

    def __init__(self, reactor: Any, config: Config, environ: Mapping[str, str]) -> None:
        self._reactor = reactor
        self._config = config
        self._environ = environ
        self._endpoints = [(text, gateway_endpoint(reactor, text)) for text in config.server.listen]
        self._http_endpoints = [(text, api_endpoint(reactor, text)) for text in config.http.listen]
        self._watch_endpoints = [(text, api_endpoint(reactor, text)) for text in config.http.operations_listen]
        self._lock = DataLock(config.data)
        self._ports: list[IListeningPort] = []
        self._last_ports: list[IListeningPort] = []
        self._is_ready = False

    def check(self) -> None:
        """Look at what the configuration names outside of itself. Raises ConfigError."""
        sso_of(self._config.sso, self._reactor, time.time, lambda: self._secret(make=False))
        redis_of(self._config.presence)
        queues_of(self._reactor, self._config.upstream, time.time)

    def _secret(self, *, make: bool) -> bytes:
        """Return what signs tokens, which is made on the first start unless it is named. Raises ConfigError."""
        file, is_ours = self._config.secret_file, not self._config.sso.secret_file
        if is_ours and not make and not file.exists():
            return b""
        return load_or_create(file, is_ours and make, secrets.token_bytes)

    def startService(self) -> None:
        """Start every part; leaves with one sentence and an exit code where one can't start."""
        super().startService()
        try:
            self._start()
        except ConfigError as error:
            self._give_up(str(error), BAD_CONFIGURATION)
        except StartError as error:
            self._give_up(str(error), error.exit_code)

    def _start(self) -> None:
        config, reactor = self._config, self._reactor
        _make_folder(config.data)
        self._lock.acquire(os.getpid())
        self._sso = sso = sso_of(config.sso, reactor, time.time, lambda: self._secret(make=True))
        queues = queues_of(reactor, config.upstream, time.time)
        gateway, delivery, storage = config.gateway, config.delivery, config.storage
        outbox = Outbox()
        self._sessions = sessions = Sessions(reactor, outbox, delivery.max_unacked)
        self._store = store = SqlStore(
            reactor,
            open_database(
                config.database_url,
                storage.password_file,
                readers=storage.readers,
                cache_mib=storage.cache_mib,
                timeout=storage.timeout_seconds,
            ),
            _now,
            gap=storage.commit_gap_ms / 1000,
            max_pending=storage.max_pending,
            max_pending_bytes=storage.max_pending_mib * 1024 * 1024,
            readers=storage.readers,
            max_body=gateway.max_body,
            upstream=bounds_of(config.upstream),
        )
        self._relays = relays = Relays(
            reactor,
            store,
            [
                (Relay(reactor, store, queue, name, attempts_of(config.upstream, name)), queue)
                for name, queue in queues.items()
            ],
            config.server.node,
            config.upstream.lease_seconds,
        )
        broadcasts = Broadcasts(reactor, sessions, delivery.broadcast_per_second)
        self._pushes = pushes = Pushes(sessions, reactor.seconds, _now, config.http.traced_pushes)
        local: IDelivery = pushes if config.http.listen else sessions
        self._cluster = cluster = self._make_cluster(broadcasts, local)
        presence: IPresence = cluster.presence if cluster else MemoryPresence()
        reach: IDelivery = cluster.delivery if cluster else local
        chat = Chat(store, reach, MembersCache(config.groups.cached), broadcasts)
        self._watch = watch = PresenceWatch(
            reactor,
            presence,
            store,
            grace=config.presence.grace_seconds,
            delay=PRESENCE_DELAY,
            max_watched=config.presence.max_watched,
        )
        self._login = login = Login(
            sso,
            presence,
            store,
            reach,
            _now,
            lambda: secrets.token_hex(8),
            UserLoginAck(
                heartbeat_seconds=max(1, round(gateway.heartbeat_seconds)),
                idle_seconds=max(1, round(gateway.idle_seconds)),
                node=config.server.node,
                max_body=gateway.max_body,
            ),
            watch.closed,
        )
        ack_delay = delivery.ack_delay_ms / 1000
        self._receipts = receipts = Receipts(reactor, store, reach, ack_delay, config.groups.receipt_members)
        self._notices = notices = Notices(
            reactor,
            store,
            store,
            presence,
            reach,
            _now,
            keep_ms=int(config.notices.keep_days * _DAY_MS),
            delay=ack_delay,
        )
        services = Services(
            login=login,
            chat=chat,
            receipts=receipts,
            history=History(store, store),
            removal=Removal(store, reach, _new_id, int(config.messages.revoke_seconds * 1000)),
            groups=Groups(store, notices, config.groups.max_members, _new_id),
            settings=Settings(store, store, reach, self._blocked),
            notices=notices,
            presence=watch,
            upstream=Upstream(store, reach, config.upstream.destinations, config.upstream.max_payload, relays.wake),
        )
        self._accounts = Accounts(reactor, store, reach, config.server.node, _now)
        self._retention = Retention(reactor, store, _now, max_age_ms=int(config.messages.keep_days * _DAY_MS))
        self._reach = reach
        self._recovery = Recovery(reactor, store, store, store, local, chat, _now, delivery.sweep_users_per_second)
        self._sweep = Sweep(
            reactor,
            store,
            local,
            chat,
            _now,
            after=delivery.sweep_seconds,
            users_per_second=delivery.sweep_users_per_second,
            attempts=delivery.sweep_attempts,
        )
        limits = Limits(
            login_seconds=gateway.login_seconds,
            idle_seconds=gateway.idle_seconds,
            max_body=gateway.max_body,
            max_unsent=gateway.max_unsent,
            max_connections=gateway.max_connections,
            connections_per_address=gateway.connections_per_address,
            packets_per_second=gateway.packets_per_second,
            bytes_per_second=gateway.bytes_per_second,
        )
        dispatcher = Dispatcher(routes(services), acks(receipts), gateway.max_body)
        self._gateway = Gateway(reactor, dispatcher, sessions, outbox, limits, login.closed)
        self._http = self._make_http(services, presence, Sending(chat, store))
        store.start()
        if cluster is not None:
            cluster.start()
        self._gateway.wheel.start()
        self._sweep.start()
        self._notices.start()
        self._retention.start()
        self._accounts.start()
        relays.start()
        # READY=1 promises that a SIGTERM drains, so it waits until the reactor has set its signal handlers.
        reactor.callWhenRunning(signal.signal, signal.SIGTERM, self._terminated)
        reactor.callWhenRunning(self._listen)

    def _make_cluster(self, broadcasts: Broadcasts, local: IDelivery) -> Cluster | None:
        """Return this node's place among the others, None where it is the only one. Raises ConfigError."""
        address = redis_of(self._config.presence)
        if address is None:
            return None
        return Cluster(
            self._reactor,
            address,
            self._config.server.node,
            secrets.token_hex(4),
            local,
            _now,
            lambda: [Entry(each.uid, each.client_type, each.session_id) for each in self._sessions.everyone()],
            lambda: len(self._sessions),
            self._doubt,
            broadcasts.put,
            lambda uid, uids: self._watch.blocked(uid, uids),  # noqa: PLW0108 - which is made later
            self._name_is_taken,
            lease=self._config.presence.lease_seconds,
        )

    def _make_http(self, services: Services, presence: IPresence, sending: Sending) -> HttpServers:
        """Return the servers of the API, whether anything listens for them or not."""
        config, http, reactor = self._config, self._config.http, self._reactor
        began = reactor.seconds()
        # Where an issuer or an audience is asked for, somebody else is who issues tokens.
        is_ours = config.sso.source == "secret_file" and not (config.sso.issuer or config.sso.audience)
        secret = self._secret(make=True) if is_ours else b""

        def issue(uid: int, name: str, seconds: float) -> str:
            return issue_token(secret, uid, time.time(), seconds, name=name)

        return HttpServers(
            reactor,
            ApiServices(
                node=config.server.node,
                version=version(),
                archive=self._store,
                presence=presence,
                notices=services.notices,
                sending=sending,
                groups=services.groups,
                login=services.login,
                settings=services.settings,
                pushes=self._pushes,
                accounts=self._accounts,
                users=self._store,
                issue=issue if secret else None,
                figures=figures(self._gateway, self._sessions, self._store, presence, services.chat),
                now=_now,
                uptime=lambda: reactor.seconds() - began,
            ),
            self._store,
            self._unready,
            HttpLimits(
                max_body=http.max_body,
                max_connections=http.max_connections,
                request_seconds=http.request_seconds,
                answer_seconds=http.answer_seconds,
                requests_per_second=http.requests_per_second,
            ),
        )

    def _unready(self) -> list[str]:
        """Say why this node should get no clients now."""
        presence = self._cluster.presence if self._cluster is not None else None
        reasons = {
            "the node is being stopped": not self.running,
            "the node is starting": bool(self.running) and not self._is_ready,
            "the store is away": self._store.is_away,
            "presence is away": presence is not None and not presence.is_connected,
        }
        return [reason for reason, holds in reasons.items() if holds]

    def _doubt(self, since: int) -> None:
        self._recovery.doubt(since)
        self._watch.doubt()

    def _name_is_taken(self) -> None:
        if self.running:
            self._give_up(
                f"another node named {self._config.server.node} runs already with the same Redis: give each node a name"
                " of its own, by [server] node or IMD_NODE",
                BAD_CONFIGURATION,
            )

    def _blocked(self, uid: int, uids: Collection[int]) -> None:
        self._watch.blocked(uid, uids)
        self._reach.blocked(uid, uids)

    def _listen(self) -> None:
        listening = []

        def listen(text: str, endpoint: Any, factory: object, ports: list[IListeningPort]) -> None:
            opened = endpoint.listen(factory)
            opened.addCallbacks(self._opened, self._not_opened, callbackArgs=(text, ports), errbackArgs=(text,))
            listening.append(opened)

        for text, endpoint in self._endpoints:
            factory = ProxiedGateway(self._gateway) if text.startswith(PROXIED) else self._gateway
            listen(text, endpoint, factory, self._ports)
        for text, endpoint in self._http_endpoints:
            listen(text, endpoint, self._http.api, self._ports)
        for text, endpoint in self._watch_endpoints:
            listen(text, endpoint, self._http.operations, self._last_ports)
        gatherResults(listening, consumeErrors=True).addCallbacks(self._ready, self._not_ready)

    def _opened(self, port: IListeningPort, text: str, ports: list[IListeningPort]) -> None:
        ports.append(port)
        self._log.info("listening on {text}", text=text)

    def _not_opened(self, failure: Failure, text: str) -> None:
        error = failure.value
        reason = error.socketError if isinstance(error, CannotListenError) else error
        raise StartError(f"can't listen on {text}: {reason}", IN_USE)

    def _not_ready(self, failure: Failure) -> None:
        first: Any = failure.value
        error = first.subFailure.value
        self._give_up(str(error), error.exit_code)

    def _ready(self, _results: object) -> None:
        # What is alive now stays so: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        # A batch makes thousands of tuples that die with it: looking through them early finds nothing.
        gc.set_threshold(50_000, 20, 50)
        option = "" if self._config.server.data == "./imd-data" else f" --data {self._config.server.data}"
        if self._config.sso.source != "secret_file":
            option += " --token TOKEN"
        self._log.info(
            "data in {data}; try it from another terminal:  {imctl} chat 1 --to 2{option}",
            data=self._config.data,
            imctl=Path(sys.argv[0]).with_name("imctl"),
            option=option,
        )
        self._is_ready = True
        notify_systemd("READY=1", self._environ)

    def _give_up(self, reason: str, exit_code: int) -> None:
        """Leave with ``exit_code``; twistd would leave with 0 once its reactor runs, or not at all."""
        sys.stderr.write(f"imd: {reason}\n")
        sys.stderr.flush()
        if not self._reactor.running:
            self._lock.release()
            raise SystemExit(exit_code)
        self._reactor.addSystemEventTrigger("after", "shutdown", os._exit, exit_code)
        self._reactor.stop()

    def _terminated(self, *_: object) -> None:
        """Stop and leave with 0; Twisted's own way ends the process by the signal once all is done."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._reactor.callFromThread(self._reactor.stop)

    def stopService(self) -> "Deferred[None]":
        """Drain: take no one in, tell the clients, commit and ACK what waits, and close."""
        super().stopService()
        return Deferred.fromCoroutine(self._drain())

    async def _drain(self) -> None:
        notify_systemd("STOPPING=1", self._environ)
        self._log.info("stopping: {n} sessions are told to reconnect", n=len(self._sessions))
        self._login.drain()
        self._sweep.stop()
        self._watch.stop()
        self._recovery.stop()
        self._notices.stop()
        self._retention.stop()
        self._accounts.stop()
        self._sso.close()
        for port in self._ports:
            await maybeDeferred(port.stopListening)
        self._http.drain()
        for session in self._sessions.everyone():
            later = random.randrange(RECONNECT_WITHIN_MS)  # noqa: S311 - spreads clients, guards nothing
            notice = CloseChannel(reason="the node is being stopped", reconnect_after_ms=later)
            session.send(Command.CLOSE_CHANNEL, notice.SerializeToString())
        self._receipts.flush()
        self._notices.flush()
        await self._relays.stop(self._config.server.drain_seconds)
        await self._store.stop()
        self._receipts.flush()  # read marks that came meanwhile are refused
        await deferLater(self._reactor, 0)  # the last reads are answered in this turn
        for connection in self._gateway.connections():
            connection.close()
        waited, step = 0.0, 0.01
        while (self._gateway.connections() or not self._http.is_drained) and waited < self._config.server.drain_seconds:
            await deferLater(self._reactor, step)
            waited += step
        for connection in self._gateway.connections():
            connection.drop("it did not read the end", is_news=False)
        self._gateway.wheel.stop()
        if self._cluster is not None:
            await self._cluster.stop()
        for port in self._last_ports:
            await maybeDeferred(port.stopListening)
        self._http.end()
        self._lock.release()
        self._log.info("stopped: nothing is left undone; since the start: {counters}", counters=self._gateway.counters)


def _make_folder(data: Path) -> None:
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The data folder {data} can't be made: {error.strerror}.") from error


def _new_id() -> str:
    return str(uuid.uuid4())


def _now() -> int:
    return time.time_ns() // 1_000_000
