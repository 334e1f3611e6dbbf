"""`gelap up` as an operator starts it: a process of its own, with fake devices unless a test wants real proofs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from gelap.children import end_with_parent
from proto.client import ProverClient
from proto.rest_client import RestProverClient
from tests.service.cluster_processes import PATIENCE
from tests.service.fake_cluster import FAKE


def is_alive(pid):
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Up:
    """One run of `gelap up`; `document` is what it printed when it was ready."""

    def __init__(self, folder, *options, **variables):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GELAP_")}
        environment |= {"GELAP_CACHE_DIR": str(folder / "cache"), "TMPDIR": str(folder)} | variables
        self.errors = folder / f"up-{time.monotonic_ns()}.err"
        with self.errors.open("wb") as stderr:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gelap.cli", "up", "--json"),
                    *("--address", "127.0.0.1:0", "--http-address", "127.0.0.1:0"),
                    *map(str, options),
                ],
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment,
                preexec_fn=end_with_parent,
            )
        self._document = None

    @property
    def document(self):
        if self._document is None:
            line = self.process.stdout.readline()
            assert line, f"it ended early: {self.errors.read_text()}"
            self._document = json.loads(line)
        return self._document

    @property
    def pids(self):
        return list(self.document["processes"].values())

    @property
    def api_key(self):
        with open(self.document["api_key_file"]) as file:
            return file.read().strip()

    @property
    def redis_url(self):
        with open(self.document["redis_url_file"]) as file:
            return file.read().strip()

    def client(self, api_key=None):
        document = self.document
        return ProverClient(document["grpc"], api_key or self.api_key, document["cluster_key_fingerprint"])

    def rest_client(self):
        document = self.document
        return RestProverClient(document["rest"], self.api_key, document["cluster_key_fingerprint"])

    def wait(self, timeout=2 * PATIENCE):
        """Its exit status, and what it said on stderr."""
        status = self.process.wait(timeout)
        return status, self.errors.read_text()

    def stop(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.wait()

    def end(self):
        """Whatever the test left. When it has ended its children have too, and their ids may be others' by now."""
        if self.process.poll() is None:
            pids = self._document["processes"].values() if self._document else ()
            for pid in (*pids, self.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def start_up(tmp_path, key_dir):
    """Starts `gelap up` with the tiny circuits and fake devices; what is still there ends with the test."""
    started = []

    def start(*options, **variables):
        started.append(Up(tmp_path, "--key-dir", key_dir, *options, **FAKE | variables))
        return started[-1]

    yield start
    for each in started:
        each.end()
