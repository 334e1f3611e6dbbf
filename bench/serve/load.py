"""An open-loop load: requests come when they are due, however long earlier ones take, and each is timed from then on.

A closed loop would wait for a slow cluster and so hide how slow it is (Tene's "coordinated omission").
"""

import functools
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc

from bench.serve.cluster import CIRCUIT
from bench.serve.mix import JobKind, arrivals, draw
from proto import prover_pb2 as messages
from proto import prover_pb2_grpc
from proto.client import ProverClient
from protocol.statements import InputValue

API_KEY = "the-load"


@dataclass
class Request:
    """One request and what became of it. Times in seconds after the load's start; `status` is a gRPC code's name."""

    kind: JobKind
    public_input: int
    message: messages.ProveRequest
    due: float
    sent: float = 0.0
    ended: float = 0.0
    status: str = ""
    job_id: str = ""
    proof: bytes = b""
    fake: bool = False
    cached: bool = False
    phases: dict[str, float] = field(default_factory=dict)

    @property
    def latency(self) -> float:
        return self.ended - self.due

    @property
    def overhead(self) -> float:
        """What is neither the device's work nor waiting for it while it does other jobs."""
        return self.latency - self.phases.get("prove", 0.0) - self.phases.get("wait", 0.0)


def prepare(address: str, rate: float, number: int, kinds: list[JobKind], seed: int) -> list[Request]:
    """Draw and seal so many different requests: what a client does before it calls is not the cluster's time."""
    source = random.Random(seed)
    requests = []
    with ProverClient(address, API_KEY) as client:
        for due, kind in zip(arrivals(rate, number, source), draw(kinds, number, source), strict=True):
            public = source.getrandbits(240)
            inputs: dict[str, InputValue] = {"public": [public], "milliseconds": kind.milliseconds}
            message = client.sealed_request(CIRCUIT, [public], inputs, priority=kind.priority)
            requests.append(Request(kind, public, message, due))
    return requests


def run(address: str, requests: Sequence[Request], timeout: float, submit_only: bool = False) -> float:
    """Send every request when it is due and wait for all; returns the seconds it took. `timeout` is each call's."""
    metadata = (("authorization", f"Bearer {API_KEY}"),)
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout)
        stub = prover_pb2_grpc.ProverStub(channel)
        call = stub.Submit if submit_only else stub.Prove
        unanswered = threading.Semaphore(0)
        start = time.perf_counter()

        def ended(request: Request, answer: grpc.Future) -> None:
            request.ended = time.perf_counter() - start
            request.status = answer.code().name
            if request.status == "OK":
                job = answer.result()
                request.job_id, request.phases = job.id, dict(job.seconds)
                request.proof, request.fake, request.cached = job.proof, job.fake, job.cached
            unanswered.release()

        for request in requests:
            delay = request.due - (time.perf_counter() - start)
            if delay > 0:
                time.sleep(delay)
            request.sent = time.perf_counter() - start
            answer = call.future(request.message, timeout=timeout, metadata=metadata)
            answer.add_done_callback(functools.partial(ended, request))
        for _ in requests:
            unanswered.acquire()
        return time.perf_counter() - start
