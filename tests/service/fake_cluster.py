"""Real gateways and workers with fake devices.

The fake device takes the milliseconds that a request names and fails as it is told to; see worker/fake.py.
"""

import itertools
import json
import os
import subprocess
import sys

from tests.service.cluster_processes import Cluster

NUMBERS = itertools.count(10**6)
FAKE = {"GELAP_DEVICE": "fake", "GELAP_ALLOW_FAKE": "1"}


def job(milliseconds=20, number=None, **more):
    """A fresh statement of `square` with its inputs, for the fake device."""
    public = [next(NUMBERS) if number is None else number]
    return public, {"public": public, "milliseconds": milliseconds, **more}


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
            timeout=60,
            check=False,
        )

    def status(self):
        return json.loads(self.command("status", "--json").stdout)

    def done(self, job_id):
        """How often a worker had its result of this job accepted."""
        return self.logs().count(f'"job done", "job": "{job_id}"')


def fake_cluster(redis_url, key_dir, folder, **settings):
    """No process yet; leases of a second, so that a lost worker is noticed at once."""
    short = {"GELAP_LIMIT_LEASE": "1.0", "GELAP_LIMIT_STRANDED": "1.0"}
    return FakeCluster(redis_url, key_dir, folder, **short | settings)
