"""A witness is in nothing that Redis keeps, on disk or in memory, nor in what the cluster measures or logs."""

import re
import urllib.request
from pathlib import Path

import pytest

from proto import errors
from proto.client import JobState
from tests.service.cluster_processes import PATIENCE, until
from tests.service.fake_cluster import job
from worker.fake import Trouble

# No number that comes up by chance.
CANARY = 0x5EC2E75EC2E75EC2E75EC2E75EC2E75EC2E75EC200
API_KEY = "the-API-key-of-alice-CANARY"


def spellings(number):
    plain = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return [str(number).encode(), plain.hex().encode(), plain, plain[::-1]]


def memory_of(pid):
    """Everything that a process of ours has in its memory, as a memory dump would show it."""
    parts = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line):
                start, end = (int(part, 16) for part in match.groups())
                memory.seek(start)
                try:
                    parts.append(memory.read(end - start))
                except OSError:
                    continue  # a device's memory, or gone by now
    return b"".join(parts)


@pytest.mark.parametrize("trouble", [Trouble.NONE, Trouble.UNPLANNED, Trouble.WRONG_PROOF, Trouble.UNSATISFIED])
def test_no_trace_of_a_witness_in_redis_on_disk_or_in_memory_nor_in_metrics_and_logs(
    cluster_on_own_redis, own_redis, trouble
):
    cluster = cluster_on_own_redis
    gateway = cluster.gateway("--metrics-address", "127.0.0.1:0")
    worker = cluster.worker(GELAP_WORKER_METRICS_ADDRESS="127.0.0.1:0", GELAP_LOG_LEVEL="debug")
    public, inputs = job(milliseconds=800, trouble=trouble)
    inputs |= {"root": CANARY, "path": [CANARY + 1, [CANARY + 2]]}
    kept = {}
    with cluster.client(API_KEY) as client:
        job_id = client.submit("square", public, inputs).id
        until(lambda: client.job(job_id).state is not JobState.QUEUED)
        own_redis.client.save()
        kept["dump while it runs"] = (own_redis.folder / "dump.rdb").read_bytes()
        kept["memory while it runs"] = memory_of(own_redis.process.pid)
        said = []
        try:
            client.prove("square", public, inputs)
        except errors.ProverClientError as error:
            said.append(f"{error} {error.__dict__}")
        end = client.job(job_id)
        said.append(repr(end.failure))
        assert (end.state is JobState.SUCCEEDED) == (trouble is Trouble.NONE)
    own_redis.client.save()
    kept["dump after its end"] = (own_redis.folder / "dump.rdb").read_bytes()
    kept["memory after its end"] = memory_of(own_redis.process.pid)
    kept["append-only file"] = own_redis.append_only_file
    kept["metrics"] = metrics_of(gateway) + metrics_of(worker)
    kept["logs"] = cluster.logs().encode() + (own_redis.folder / "redis.log").read_bytes()
    kept["errors"] = "".join(said).encode()
    kept["what operators see"] = (cluster.command("jobs", "show", job_id).stdout + str(cluster.status())).encode()

    for place, content in kept.items():
        for number in (CANARY, CANARY + 1, CANARY + 2):
            for spelling in spellings(number):
                assert spelling not in content, place
        assert API_KEY.encode() not in content, place
    # The search would have found them: what is public is there.
    for place in ("dump while it runs", "memory while it runs", "append-only file", "logs", "what operators see"):
        assert job_id.encode() in kept[place], place
    for name in (b"gelap_worker_attempts_total", b"gelap_gateway_jobs_total"):
        assert name in kept["metrics"]
    assert job_id.encode() not in kept["metrics"], "there is no end of jobs"


def metrics_of(process):
    process.wait_for("gateway ready", "metrics ready")
    ports = [line.get("metrics_port") or line["port"] for line in process.lines() if "port" in line]
    return urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/metrics", timeout=PATIENCE).read()
