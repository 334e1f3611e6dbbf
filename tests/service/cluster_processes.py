"""Gateways and workers of a cluster as real processes, for the tests that want to look at or harm them."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from gelap.children import end_with_parent
from proto.client import ProverClient
from proto.rest_client import RestProverClient

SQUARE_WORKER = Path(__file__).parent / "cluster" / "square_worker.py"
# How long anything may take that comes sooner or later: a machine may be busy with other things for seconds.
PATIENCE = 60.0
_GATES = itertools.count(1)


def until(condition, timeout=PATIENCE):
    """What `condition` returns, once that is true."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.02)
    return found


@dataclass
class Process:
    """A process whose log goes to a file."""

    process: subprocess.Popen
    log_file: Path

    @property
    def log(self):
        return self.log_file.read_text()

    def wait_for(self, *texts, timeout=PATIENCE):
        """Wait until the log has one of these texts."""
        deadline = time.monotonic() + timeout
        while True:
            ended = self.process.poll() is not None  # before the look: its last words count too
            if any(text in self.log for text in texts):
                return
            assert not ended, f"it ended early: {self.log}"
            assert time.monotonic() < deadline, f"no {texts} in {self.log}"
            time.sleep(0.02)

    def lines(self):
        """What it has logged. The last line may be half written, and libraries in C write lines of their own."""
        whole = self.log.rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def wait(self, timeout=PATIENCE):
        """Its exit status, once it has ended."""
        return self.process.wait(timeout)

    def stop(self):
        self.process.terminate()
        return self.wait()

    def freeze(self):
        """Stop it as the lid of a laptop does; returns when it does nothing any more. `thaw` lets it go on."""
        self.process.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self.process.pid}/stat")
        until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)


class Gate:
    """Holds up the tiny circuit's jobs that name its number, until the test opens it: no job ends too soon for a test,
    and none is waited for longer than it takes.
    """

    def __init__(self, folder):
        self.number = next(_GATES)
        gate = Path(folder) / f"gate-{self.number}"
        self._begun, self._open = gate.with_suffix(".begun"), gate.with_suffix(".open")

    def wait_for_device(self):
        """Wait until a job is on the device, before the gate."""
        until(self._begun.exists)

    def open(self):
        self._open.touch()


class Cluster:
    """Starts gateways and workers of one cluster; all are gone when the test ends."""

    def __init__(self, redis_url, key_dir, folder, **settings):
        """`settings` are environment variables of all its processes."""
        self.redis_url = redis_url
        self.settings = settings
        self.key_dir = key_dir
        self.folder = folder
        self.key_file = folder / "cluster-key.pem"
        self.processes = []
        self.latest_gateway = None

    def start(self, *command, name, **variables):
        log_file = self.folder / f"{name}-{len(self.processes)}.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GELAP_")}
        environment |= {"GELAP_REDIS_URL": self.redis_url, "GELAP_CACHE_DIR": str(self.folder)}
        with log_file.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *map(str, command)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment | self.settings | variables,
                preexec_fn=end_with_parent,
            )
        started = Process(process, log_file)
        self.processes.append(started)
        return started

    def worker(self, lease=8.0, key_file=None, wait=True):
        command = (SQUARE_WORKER, self.key_dir, key_file or self.key_file, lease)
        worker = self.start(*command, name="worker")
        if wait:
            worker.wait_for("worker ready")
        return worker

    def gateway(self, *options, open_door=True):
        """One that listens on free ports and, unless told otherwise, takes every API key."""
        command = ("-m", "gelap.cli", "gateway", "--key-dir", self.key_dir, "--address", "127.0.0.1:0")
        command += ("--http-address", "127.0.0.1:0", *(["--open"] if open_door else []), *options)
        self.latest_gateway = self.start(*command, name="gateway")
        return self.latest_gateway

    def listening(self, what="port", gateway=None):
        """Where a gateway listens, the last one by default; starting it goes on beside the test until then."""
        gateway = gateway or self.latest_gateway
        gateway.wait_for("gateway ready")
        ready = next(line for line in gateway.lines() if line["event"] == "gateway ready")
        return f"127.0.0.1:{ready[what]}"

    @property
    def address(self):
        return self.listening()

    @property
    def url(self):
        return f"http://{self.listening('http_port')}"

    def gate(self):
        return Gate(self.folder)

    def client(self, api_key="alice", **options):
        return ProverClient(self.address, api_key, **options)

    def rest_client(self, api_key="alice", **options):
        return RestProverClient(self.url, api_key, **options)

    def logs(self):
        return "".join(process.log for process in self.processes)

    def done(self, job_id):
        """How often a worker had its result of this job accepted; it logs that after everybody else knows."""
        return until(lambda: self.times_done(job_id))

    def times_done(self, job_id):
        return self.logs().count(f'"job done", "job": "{job_id}"')

    def kill_all(self):
        for started in self.processes:
            with contextlib.suppress(ProcessLookupError):
                started.process.kill()
            started.process.wait()
