"""Everything of a proving cluster on one machine: Redis, workers, a gateway, an API key, a request to try it with."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import redis

from gateway.apikeys import KeyRegister
from gateway.tenants import digest_of
from gelap.children import Child, start_command
from gelap.sample import CIRCUIT, sample_statement
from gelap.servers import RedisServer, ServerError, redis_in
from gelap.up.data import DataFolder, data_folder
from proto.rest_client import RestProverClient, request_json
from protocol.sealing import fingerprint
from worker.cluster_key import load_cluster_key
from worker.connection import connect_or_explain
from worker.manifest import CircuitEntry, read_manifest

TENANT = "local"
READY_TIMEOUT = 600.0
LOOK_SECONDS = 0.1
# Unless their variables say otherwise: whoever presses Ctrl-C does not want to wait for half a minute.
GATEWAY_DRAIN, WORKER_DRAIN = 5.0, 20.0
_GRACE = 10.0


@dataclass(frozen=True)
class UpOptions:
    """`redis_url`: None for a private Redis. Addresses are host:port; port 0 is any free one, an empty address none."""

    key_dir: Path
    data: Path | None = None
    redis_url: str | None = None
    grpc_address: str = "127.0.0.1:50051"
    http_address: str = "127.0.0.1:8080"
    metrics_address: str = "127.0.0.1:0"
    workers: int = 1


@dataclass(frozen=True)
class Running:
    """What a caller needs to know. `first_proof` is a request's file, None where the sample's circuit is not served."""

    grpc: str
    rest: str | None
    metrics: str | None
    circuits: tuple[str, ...]
    development_keys: bool
    cluster_key_fingerprint: str
    api_key_file: str
    api_key_header_file: str
    redis_url_file: str
    logs: str
    first_proof: str | None
    processes: Mapping[str, int]

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def curl(self) -> str | None:
        """The line that gets a first proof."""
        if self.first_proof is None:
            return None
        return f"curl -sSf -H @{self.api_key_header_file} --data @{self.first_proof} '{self.rest}/v1/prove?wait=300'"


class StoppedError(Exception):
    """Somebody asked for the end before everything was ready."""


class Stopper:
    """SIGINT, SIGTERM and SIGHUP ask for a clean end; a second one kills the children at once."""

    def __init__(self) -> None:
        self.asked = False
        self.children: list[Child] = []

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        before = {
            number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, _: int, __: FrameType | None) -> None:
        if self.asked:
            for child in self.children:
                child.process.kill()
        self.asked = True


def run(options: UpOptions, tell: Callable[[str], None], ready: Callable[[Running], None]) -> None:
    """Start everything, call `ready`, and stay until a signal; what was started is gone when this returns or raises.

    `tell` gets lines on the progress. The proving keys must be there. Raises ServerError when something cannot start or
    ends by itself, and ConfigurationError.
    """
    entries = read_manifest(options.key_dir)
    stopper = Stopper()
    with stopper.listening(), data_folder(options.data) as data, contextlib.ExitStack() as stack:
        server = None
        if options.redis_url is None:
            tell("starting Redis")
            server = stack.enter_context(redis_in(data.redis, keep=data.kept, inherit=(data.lock,)))
        redis_url = server.url if server else options.redis_url
        assert redis_url is not None
        local = _Local(options, data, redis_url, server, entries, stopper, stack)
        try:
            running = local.start(tell)
        except StoppedError:
            return
        ready(running)
        while not stopper.asked:
            local.look()
            time.sleep(LOOK_SECONDS)
        tell("stopping: jobs and calls in hand may end; press Ctrl-C again to end them at once")


class _Local:
    """One run."""

    def __init__(
        self,
        options: UpOptions,
        data: DataFolder,
        redis_url: str,
        server: RedisServer | None,
        entries: Mapping[str, CircuitEntry],
        stopper: Stopper,
        stack: contextlib.ExitStack,
    ) -> None:
        self._options = options
        self._data = data
        self._redis_url = redis_url
        self._entries = entries
        self._stopper = stopper
        self._stack = stack
        self._watched = [Child("Redis", server.process, server.log)] if server else []

    def start(self, tell: Callable[[str], None]) -> Running:
        data, options = self._data, self._options
        client = connect_or_explain(self._redis_url)
        key_file = Path(os.environ.get("GELAP_CLUSTER_KEY_FILE") or data.path / "cluster-key.pem")
        cluster_key, _ = load_cluster_key(key_file)
        api_key = self._api_key(client)
        redis_url_file = data.write("redis-url", self._redis_url + "\n")
        self._stack.callback(redis_url_file.unlink, missing_ok=True)

        environment = dict(os.environ) | {
            "GELAP_REDIS_URL": self._redis_url,
            "GELAP_KEY_DIR": str(options.key_dir),
            "GELAP_CLUSTER_KEY_FILE": str(key_file),
            "GELAP_GATEWAY_ADDRESS": options.grpc_address,
            "GELAP_HTTP_ADDRESS": options.http_address,
            "GELAP_GATEWAY_METRICS_ADDRESS": options.metrics_address,
        }
        environment.pop("GELAP_API_KEY", None)
        gateway_drain = float(environment.setdefault("GELAP_DRAIN_SECONDS", str(GATEWAY_DRAIN)))
        gateway_drain += float(environment.get("GELAP_DRAIN_NOTICE", 0))
        worker_drain = float(environment.setdefault("GELAP_WORKER_DRAIN", str(WORKER_DRAIN)))

        tell(f"starting {options.workers} worker{'s' if options.workers > 1 else ''} and the gateway")
        workers: list[Child] = []
        self._stack.callback(self._stop_together, workers)
        for number in range(1, options.workers + 1):
            name = "worker" if options.workers == 1 else f"worker {number}"
            workers.append(self._start(name, ("worker",), environment, worker_drain))
            # One address is one worker's.
            environment.pop("GELAP_WORKER_METRICS_ADDRESS", None)
        gateway = self._start("gateway", ("gateway",), environment, gateway_drain)
        self._stack.callback(gateway.stop)

        ports = self._wait_for(gateway, "gateway ready")
        tell("waiting for the workers: the first start on a machine compiles kernels, some 20 s")
        for worker in workers:
            self._wait_for(worker, "worker ready")
        rest = _url(options.http_address, ports["http_port"], bool(ports["tls"]))
        return Running(
            grpc=_address(options.grpc_address, ports["port"]),
            rest=rest,
            metrics=_url(options.metrics_address, ports["metrics_port"]),
            circuits=tuple(sorted(self._entries)),
            development_keys=any(entry.development for entry in self._entries.values()),
            cluster_key_fingerprint=fingerprint(cluster_key.public_key).hex(),
            api_key_file=str(data.path / "api-key"),
            api_key_header_file=str(data.path / "api-key.header"),
            redis_url_file=str(redis_url_file),
            logs=str(data.logs),
            first_proof=self._first_proof(rest, api_key, fingerprint(cluster_key.public_key).hex()),
            processes={child.name: child.process.pid for child in self._watched},
        )

    def look(self) -> None:
        """Raise ServerError when a process has ended, StoppedError when somebody wants the end."""
        if self._stopper.asked:
            raise StoppedError
        for child in self._watched:
            if reason := child.ended():
                raise ServerError(reason)

    def _api_key(self, client: redis.Redis) -> str:
        """The folder's key if Redis knows it, else a new one; a key of a folder that goes is revoked when it goes."""
        key = self._data.read("api-key")
        if key is None or not client.exists(f"gelap:apikey:{digest_of(key)}"):
            register = KeyRegister(client)
            new = register.add(TENANT, label="gelap up")
            key = new.key
            if not self._data.kept and self._options.redis_url is not None:
                self._stack.callback(_revoke, register, new.id)
        self._data.write("api-key", key + "\n")
        self._data.write("api-key.header", f"Authorization: Bearer {key}\n")
        return key

    def _start(self, name: str, command: Sequence[str], environment: Mapping[str, str], drain: float) -> Child:
        log = self._data.logs / f"{name.replace(' ', '-')}.log"
        child = start_command(name, command, environment, log, drain + _GRACE)
        self._watched.append(child)
        self._stopper.children.append(child)
        return child

    def _wait_for(self, child: Child, event: str) -> Mapping[str, Any]:
        """The line of the child's log with this event. Raises ServerError and StoppedError."""
        deadline = time.monotonic() + READY_TIMEOUT
        while True:
            for line in child.log_text().splitlines():
                if f'"event": "{event}"' in line:
                    found: Mapping[str, Any] = json.loads(line)
                    return found
            self.look()
            if time.monotonic() > deadline:
                raise ServerError(f"the {child.name} was not ready after {READY_TIMEOUT:.0f} s; see {child.log}")
            time.sleep(LOOK_SECONDS)

    def _first_proof(self, rest: str | None, api_key: str, pin: str) -> str | None:
        """Write a sealed request for the sample. Not over TLS, where a caller needs to say whom to trust."""
        fake = os.environ.get("GELAP_DEVICE") == "fake"
        if rest is None or rest.startswith("https") or CIRCUIT not in self._entries or fake:
            return None
        statement = sample_statement()
        with RestProverClient(rest, api_key, pin) as client:
            request = client.sealed_request(CIRCUIT, statement.public.inputs(), statement.inputs(), "")
        return str(self._data.write("first-proof.json", json.dumps(request_json(request))))

    @staticmethod
    def _stop_together(workers: Sequence[Child]) -> None:
        for worker in workers:
            worker.process.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.stop()


def _revoke(register: KeyRegister, key_id: str) -> None:
    # Redis may be what has failed.
    with contextlib.suppress(redis.RedisError):
        register.revoke(key_id)


def _address(asked: str, port: int) -> str:
    return f"{asked.rpartition(':')[0]}:{port}"


def _url(asked: str, port: int | None, tls: bool = False) -> str | None:
    return None if port is None else f"{'https' if tls else 'http'}://{_address(asked, port)}"
