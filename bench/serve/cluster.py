"""A private cluster for a load: Redis, a gateway and workers with fake devices, some of which get killed."""

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import BenchError
from gelap.servers import ServerError, private_redis

CIRCUIT = "load"
VERIFICATION_KEY_DIGEST = hashlib.sha256(CIRCUIT.encode()).digest()
_READY_SECONDS = 60.0


@dataclass(frozen=True)
class ClusterPlan:
    """`kill_every`: seconds between kills of a worker, in turn, each of which is replaced at once; None for no kills.
    `settings`: environment variables of all processes.
    """

    workers: int
    max_batch: int
    kill_every: float | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ServedCluster:
    """Where its gateway listens, its Redis, and how many workers were killed so far."""

    address: str
    redis_url: str
    folder: Path
    kills: int = 0
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    starter: "_Starter | None" = None

    @contextlib.contextmanager
    def kills_from_now_on(self, plan: ClusterPlan) -> Iterator[None]:
        """While the block runs, kill workers as planned."""
        if plan.kill_every is None or self.starter is None:
            yield
        else:
            with _kills(self.starter, plan):
                yield

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def logs_of_workers(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("worker-*.log")))


@contextlib.contextmanager
def served_cluster(plan: ClusterPlan, folder: Path) -> Iterator[ServedCluster]:
    """Start it, yield it when it is ready, end it. Raises BenchError."""
    keys = folder / "keys"
    keys.mkdir()
    _write_manifest(keys)
    with contextlib.ExitStack() as stack:
        try:
            redis_url = stack.enter_context(private_redis())
        except ServerError as error:
            raise BenchError(str(error)) from None
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GELAP_")}
        environment |= {
            "GELAP_REDIS_URL": redis_url,
            "GELAP_CACHE_DIR": str(folder),
            "GELAP_KEY_DIR": str(keys),
            "GELAP_DEVICE": "fake",
            "GELAP_ALLOW_FAKE": "1",
            "GELAP_BATCH_MAX": str(plan.max_batch),
            "GELAP_LIMIT_QUEUED_JOBS": "1000000",
            "GELAP_OPEN": "1",
            "GELAP_TENANT_RATE": "0",
        }
        environment |= plan.settings
        cluster = ServedCluster("", redis_url, folder)
        starter = _Starter(cluster, environment)
        stack.callback(starter.stop_all)
        gateway = ("gateway", "--address", "127.0.0.1:0", "--http-address", "")
        starter.start("gateway", *gateway)
        for number in range(plan.workers):
            starter.start(f"worker-{number}", "worker")
        port = starter.wait("gateway", r'"gateway ready".*"port": (\d+)')
        cluster.address = f"127.0.0.1:{port}"
        for number in range(plan.workers):
            starter.wait(f"worker-{number}", r'("worker ready")')
        cluster.starter = starter
        yield cluster


class _Starter:
    def __init__(self, cluster: ServedCluster, environment: dict[str, str]) -> None:
        self._cluster = cluster
        self._environment = environment

    def start(self, name: str, *command: str) -> None:
        with (self._cluster.folder / f"{name}.log").open("ab") as log:
            self._cluster.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "gelap.cli", *command],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, name: str, pattern: str) -> str:
        deadline = time.monotonic() + _READY_SECONDS
        while not (found := re.search(pattern, self._cluster.log(name))):
            if self._cluster.processes[name].poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(self._cluster.log(name).splitlines()[-5:])
                raise BenchError(f"the {name} of the private cluster did not start. It said: {tail}")
            time.sleep(0.02)
        return found[1]

    def kill(self, name: str) -> None:
        process = self._cluster.processes[name]
        process.kill()
        process.wait()
        self._cluster.kills += 1
        self.start(name, "worker")

    def stop_all(self) -> None:
        for process in self._cluster.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self._cluster.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def _kills(starter: _Starter, plan: ClusterPlan) -> Iterator[None]:
    stopping = threading.Event()

    def kill() -> None:
        number = 0
        while not stopping.wait(plan.kill_every):
            starter.kill(f"worker-{number % plan.workers}")
            number += 1

    thread = threading.Thread(target=kill, name="kills", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _write_manifest(folder: Path) -> None:
    entry = {
        "name": CIRCUIT,
        "zkey": f"{CIRCUIT}.zkey",
        "zkey_sha256": "0" * 64,
        "verification_key": f"{CIRCUIT}.vkey.json",
        "verification_key_digest": VERIFICATION_KEY_DIGEST.hex(),
        "r1cs_sha256": "0" * 64,
        "public_inputs": 1,
        "development": True,
    }
    (folder / f"{CIRCUIT}.vkey.json").write_text("{}")
    (folder / "manifest.json").write_text(json.dumps({"version": 1, "circuits": [entry]}))
