"""A proving cluster on this machine for `gelap demo` and the tests: one gateway and one worker as child processes."""

import contextlib
import os
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from gelap.children import Child, start_command
from gelap.servers import ServerError
from proto.client import ProverClient
from proto.errors import ProverClientError
from protocol.sealing import ClusterPrivateKey, fingerprint

READY_TIMEOUT = 180.0


@dataclass(frozen=True)
class Cluster:
    """Where the private cluster listens, and the fingerprint of the key that its worker opens inputs with.

    It takes every API key, each as a tenant of its own.
    """

    address: str
    http_url: str
    key_fingerprint: str
    children: tuple[Child, ...]

    def client(self, api_key: str | None = None) -> ProverClient:
        """A client of a tenant of its own, or of the given API key's tenant, with the cluster's key pinned."""
        return ProverClient(self.address, api_key or secrets.token_urlsafe(24), self.key_fingerprint)

    def wait_until_ready(self, circuits: Sequence[str], timeout: float = READY_TIMEOUT) -> None:
        """Return when a worker proves all the circuits. Raises ServerError when a process ended or time ran out."""
        deadline = time.monotonic() + timeout
        with self.client() as client:
            while not self._has_workers(client, circuits):
                for child in self.children:
                    if reason := child.ended():
                        raise ServerError(reason)
                if time.monotonic() > deadline:
                    logs = ", ".join(str(child.log) for child in self.children)
                    raise ServerError(f"the cluster was not ready after {timeout:.0f} s; see {logs}")
                time.sleep(0.1)

    @staticmethod
    def _has_workers(client: ProverClient, circuits: Sequence[str]) -> bool:
        try:
            served = {circuit.name for circuit in client.circuits() if circuit.workers}
        except (ProverClientError, grpc.RpcError):
            return False
        return served.issuperset(circuits)


@contextlib.contextmanager
def private_cluster(redis_url: str, key_directory: Path, folder: Path, logs: Path | None = None) -> Iterator[Cluster]:
    """Start a gateway and a worker on `redis_url`; both drain and stop when the block ends.

    The cluster's new private key goes to `folder`, and so do the logs unless `logs` names another one. It yields at
    once: see `Cluster.wait_until_ready`.
    """
    key = ClusterPrivateKey.generate()
    key_file = folder / "cluster-key.pem"
    descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(key.to_pem())
    address, http_address = (f"127.0.0.1:{_free_port()}" for _ in range(2))
    environment = os.environ | {
        "GELAP_REDIS_URL": redis_url,
        "GELAP_GATEWAY_ADDRESS": address,
        "GELAP_HTTP_ADDRESS": http_address,
        "GELAP_OPEN": "1",
        "GELAP_KEY_DIR": str(key_directory),
        "GELAP_CLUSTER_KEY_FILE": str(key_file),
    }
    with contextlib.ExitStack() as stack:
        children = []
        for name in ("worker", "gateway"):
            child = start_command(name, (name,), environment, (logs or folder) / f"{name}.log")
            stack.callback(child.stop)
            children.append(child)
        yield Cluster(address, f"http://{http_address}", fingerprint(key.public_key).hex(), tuple(children))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
