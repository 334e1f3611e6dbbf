"""The client of the proving cluster over gRPC."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc

from proto import prover_pb2 as messages
from proto import prover_pb2_grpc
from proto.base import ClusterClient
from proto.errors import from_rpc_error
from proto.results import CircuitInfo, ClusterKey, JobFailure, JobState, JobStatus, Priority, ProofResult

__all__ = [
    "CircuitInfo",
    "ClusterKey",
    "JobFailure",
    "JobState",
    "JobStatus",
    "Priority",
    "ProofResult",
    "ProverClient",
]

_SHORT_CALL = 30.0


class ProverClient(ClusterClient):
    """As `ClusterClient` says. `target` is host:port; `credentials`, for example `grpc.ssl_channel_credentials()`, turn
    on TLS.
    """

    def __init__(
        self,
        target: str,
        api_key: str,
        pinned_key_fingerprint: str | None = None,
        *,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        super().__init__(api_key, pinned_key_fingerprint)
        self._target = target
        self._metadata = (("authorization", f"Bearer {api_key}"),)
        self._channel = grpc.secure_channel(target, credentials) if credentials else grpc.insecure_channel(target)
        self._stub = prover_pb2_grpc.ProverStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def job(self, job_id: str) -> JobStatus:
        return _job_status(self._call(self._stub.GetJob, messages.GetJobRequest(id=job_id)))

    def watch(self, job_id: str, timeout: float = 120.0) -> Iterator[JobStatus]:
        stream = self._stub.WatchJob(messages.WatchJobRequest(id=job_id), timeout=timeout, metadata=self._metadata)
        try:
            for job in stream:
                yield _job_status(job)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._target) from None
        finally:
            stream.cancel()

    def cancel(self, job_id: str) -> JobStatus:
        return _job_status(self._call(self._stub.CancelJob, messages.CancelJobRequest(id=job_id)))

    def circuits(self) -> list[CircuitInfo]:
        answer = self._call(self._stub.ListCircuits, messages.ListCircuitsRequest())
        return [_circuit_info(circuit) for circuit in answer.circuits]

    def circuit(self, name: str) -> tuple[CircuitInfo, str]:
        answer = self._call(self._stub.GetCircuit, messages.GetCircuitRequest(name=name))
        return _circuit_info(answer.circuit), answer.verification_key_json

    def _prove(self, request: messages.ProveRequest, timeout: float) -> JobStatus:
        return _job_status(self._call(self._stub.Prove, request, timeout))

    def _submit(self, request: messages.ProveRequest) -> JobStatus:
        return _job_status(self._call(self._stub.Submit, request))

    def _verify(self, request: messages.VerifyRequest, timeout: float) -> bool:
        return bool(self._call(self._stub.Verify, request, timeout).valid)

    def _fetch_cluster_key(self) -> bytes:
        return bytes(self._call(self._stub.GetClusterKey, messages.GetClusterKeyRequest()).public_key)

    def _call(self, method: Callable[..., Any], request: Any, timeout: float = _SHORT_CALL) -> Any:
        try:
            return method(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._target) from None


def _job_status(job: messages.Job) -> JobStatus:
    failed = job.HasField("error")
    return JobStatus(
        id=job.id,
        state=JobState(messages.JobState.Name(job.state)),
        circuit=job.circuit,
        statement_hash=job.statement_hash,
        attempts=job.attempts,
        created_ms=job.created_ms,
        ended_ms=job.ended_ms or None,
        cached=job.cached,
        proof=job.proof or None,
        failure=JobFailure(job.error.name, job.error.message, job.error.retry) if failed else None,
        seconds=dict(job.seconds),
        fake=job.fake,
    )


def _circuit_info(circuit: messages.Circuit) -> CircuitInfo:
    return CircuitInfo(
        name=circuit.name,
        public_inputs=circuit.public_inputs,
        verification_key_digest=circuit.verification_key_digest,
        development=circuit.development,
        workers=circuit.workers,
        proving_key_sha256=circuit.proving_key_sha256,
    )
