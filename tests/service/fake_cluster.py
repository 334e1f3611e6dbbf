"""Real gateways and workers with fake devices.

The fake device takes the milliseconds that a request names and fails as it is told to; see worker/fake.py.
"""

import itertools
import json
import os
import re
import subprocess
import sys
import urllib.request

from tests.service.cluster_processes import PATIENCE, Cluster

NUMBERS = itertools.count(10**6)
FAKE = {"GELAP_DEVICE": "fake", "GELAP_ALLOW_FAKE": "1"}


# For a worker that the test is about to stop, freeze or kill: its loss is noticed soon. Others keep the leases that
# ship, as a busy machine may keep any of them from renewing one for a second or two.
LOST_SOON = {"GELAP_LIMIT_LEASE": "2.0"}
# How long a worker's jobs take that do not say it themselves: longer than any test, or next to nothing.
ENDLESS, AT_ONCE = {"GELAP_FAKE_MILLISECONDS": "600000"}, {"GELAP_FAKE_MILLISECONDS": "5"}


def job(milliseconds=20, number=None, **more):
    """A fresh statement of `square` with its inputs, for the fake device; with None it takes what its worker says."""
    public = [next(NUMBERS) if number is None else number]
    taking = {} if milliseconds is None else {"milliseconds": milliseconds}
    return public, {"public": public, **taking, **more}


class FakeCluster(Cluster):
    def worker(self, *, wait=True, **settings):
        command = ("-m", "gelap.cli", "worker", "--key-dir", self.key_dir)
        worker = self.start(*command, name="worker", **FAKE | settings)
        if wait:
            worker.wait_for("worker ready")
        return worker

    def command(self, *arguments, **settings):
        """Run a `gelap` command to its end."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GELAP_")}
        environment |= {"GELAP_REDIS_URL": self.redis_url} | settings
        return subprocess.run(
            [sys.executable, "-m", "gelap.cli", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def status(self):
        return json.loads(self.command("status", "--json").stdout)


def fake_cluster(redis_url, key_dir, folder, **settings):
    """No process yet; a lost message is made up for after a second."""
    return FakeCluster(redis_url, key_dir, folder, **{"GELAP_LIMIT_STRANDED": "1.0"} | settings)


def scrape(worker):
    """The metrics of a worker that was started with GELAP_WORKER_METRICS_ADDRESS."""
    worker.wait_for('"metrics ready"')
    port = next(line["port"] for line in worker.lines() if line["event"] == "metrics ready")
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE).read().decode()
    return {name: float(value) for name, value in re.findall(r"^([^#\s][^ ]*(?:\{.*\})?) (\S+)$", text, re.M)}
