"""Redis is backed up and restored by the commands of docs/operations.md, as they stand there, with a real Redis.

Afterwards the API keys are there, finished jobs have their proofs, the cache still answers, and the job that ran when
the backup was made is proved again.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from proto.client import ProverClient
from proto.errors import ProverClientError
from tests.service.cluster_processes import until
from tests.service.fake_cluster import AT_ONCE, ENDLESS, fake_cluster, job

pytestmark = pytest.mark.slow

DOCUMENT = Path(__file__).parents[3] / "docs" / "operations.md"

# The commands of redis-cli that the document uses; a real one would want the address of the test's Redis too.
REDIS_CLI = f"""#!{sys.executable}
import os, sys, redis
answer = redis.Redis.from_url(os.environ["GELAP_REDIS_URL"], decode_responses=True).execute_command(*sys.argv[1:])
print("\\n".join(f"{{name}}:{{value}}" for name, value in answer.items()) if isinstance(answer, dict) else answer)
"""


def blocks():
    text = DOCUMENT.read_text().partition("\n### Backup and restore")[2].partition("\n### ")[0]
    return re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def server(own_redis):
    return own_redis


@pytest.fixture
def cluster(server, key_dir, tmp_path):
    cluster = fake_cluster(server.url, key_dir, tmp_path)
    yield cluster
    cluster.kill_all()


@pytest.fixture
def shell(tmp_path, server):
    """Runs commands of the document with the server's folder as Redis's."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "redis-cli").write_text(REDIS_CLI)
    (programs / "redis-cli").chmod(0o755)

    def run(script):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env=os.environ
            | {
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                "GELAP_REDIS_URL": server.url,
                "REDIS_DATA": str(server.folder),
                "BACKUP": str(tmp_path / "backup"),
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_restored_redis_has_keys_jobs_and_proofs_and_what_ran_is_proved_again(cluster, server, shell, tmp_path):
    backup, restore = blocks()
    cluster.gateway(open_door=False)
    cluster.worker(**ENDLESS)
    key = cluster.command("apikey", "add", "first-tenant").stdout.strip()
    finished, running = job(number=1), job(milliseconds=None, number=2)
    with ProverClient(cluster.address, key) as client:
        proved = client.prove("square", *finished)
        started = client.submit("square", *running)
        until(lambda: client.job(started.id).state.name == "RUNNING")
        shell(backup)
        after = client.submit("square", *job(number=3)).id
        assert client.job(started.id).attempts == 1

    # The machine is lost, with everything that Redis had.
    for each in cluster.processes:
        each.process.send_signal(signal.SIGKILL)
        each.process.wait()
    server.stop()
    for path in server.folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    shell(restore)
    server.start()
    cluster.gateway(open_door=False)
    cluster.worker(**AT_ONCE)
    with ProverClient(cluster.address, key) as client:
        assert client.job(proved.job_id).proof == proved.proof
        again = client.prove("square", *finished)
        assert again.cached
        assert again.proof == proved.proof
        recovered = until(lambda: (now := client.job(started.id)).state.name == "SUCCEEDED" and now)
        assert recovered.attempts == 2
        assert recovered.proof
        with pytest.raises(ProverClientError) as unknown:
            client.job(after)
        assert unknown.value.name == "unknown-job"
        assert client.prove("square", *job(number=4)).proof
    assert redis.Redis.from_url(server.url).config_get("appendonly")["appendonly"] == "yes"


def test_a_redis_that_just_starts_again_has_everything_too(cluster, server):
    cluster.gateway(open_door=False)
    cluster.worker()
    key = cluster.command("apikey", "add", "first-tenant").stdout.strip()
    with ProverClient(cluster.address, key) as client:
        proved = client.prove("square", *job(number=5))
        server.process.terminate()
        server.process.wait()
        server.start()
        until(lambda: status(client, proved.job_id) == "SUCCEEDED")
        assert client.prove("square", *job(number=5)).cached


def status(client, job_id):
    try:
        return client.job(job_id).state.name
    except ProverClientError:
        return None
