"""Where a wallet gets its proofs: a proving cluster, or this machine. Both are called the same way."""

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from chain.proving import SPEND_CIRCUIT, ProofSource
from proto.base import ClusterClient
from proto.errors import ProverClientError
from proto.results import ProofResult
from wallet.errors import ProvingError

if TYPE_CHECKING:
    from prover.engine import Engine

DEFAULT_TIMEOUT = 120.0


@runtime_checkable
class KnowsCircuits(Protocol):
    """A proof source that says which circuits it has keys for."""

    def circuits(self) -> Collection[str]: ...


def circuits_of(prover: ProofSource | None) -> Collection[str]:
    """What a proof source can prove: what it says, and payments alone where it says nothing."""
    return prover.circuits() if isinstance(prover, KnowsCircuits) else (SPEND_CIRCUIT,)


class RemoteProver:
    """Proofs from a cluster, over gRPC or REST.

    What the cluster learns of a spend: the notes it consumes and makes (token, amounts, owners, blindings), their place
    in the tree, their nullifying keys, the public key A and a signature for exactly this spend. With that it can tell
    when these notes are spent, and link them to each other and to A. It does not get the memos, which the statement
    binds by their hash, so that it cannot settle the payment before its owner has sent it to somebody.
    What it does not get: the spending key, so it can neither change the payment nor make another one; the nullifying
    root and the viewing key, so it recognises no other spend and opens no other memo of the account. Inputs travel
    sealed to the cluster's key: pin its fingerprint in the client, or the gateway could read them too.
    """

    def __init__(self, client: ClusterClient, timeout: float = DEFAULT_TIMEOUT) -> None:
        """`timeout` bounds each proof, in seconds."""
        self._client = client
        self._timeout = timeout
        self._circuits: frozenset[str] | None = None

    def circuits(self) -> frozenset[str]:
        """The circuits that the cluster has keys for, asked once; raises ProvingError when it does not answer."""
        if self._circuits is None:
            try:
                self._circuits = frozenset(info.name for info in self._client.circuits())
            except ProverClientError as error:
                raise ProvingError(f"the proving cluster does not say what it proves: {error}") from error
        return self._circuits

    def prove(self, circuit: str, public_inputs: list[int], inputs: Mapping[str, Any]) -> ProofResult:
        """The proof of exactly these public inputs; raises ProvingError, which says whether trying again helps."""
        try:
            return self._client.prove(circuit, public_inputs, inputs, self._timeout)
        except ProverClientError as error:
            raise ProvingError(f"the proving cluster did not deliver a proof: {error}") from error


class LocalProver:
    """Proofs made by this process: nobody else learns anything, and the machine must hold the proving keys."""

    def __init__(self, engines: Mapping[str, "Engine"]) -> None:
        """`engines` by circuit name."""
        self._engines = engines

    @classmethod
    def from_keys(cls, directory: Path, names: Sequence[str] = (SPEND_CIRCUIT,)) -> "LocalProver":
        """Load the proving keys of the circuits `names` from a folder that `gelap keys make` filled."""
        from prover.engine import Engine
        from prover.errors import ProverError
        from prover.keys import read_manifest

        try:
            manifest = read_manifest(directory)
            return cls({name: Engine.load(name, manifest.zkey_path(name)) for name in names})
        except ProverError as error:
            raise ProvingError(f"this machine cannot prove: {error}") from error

    def circuits(self) -> frozenset[str]:
        """The circuits that this prover has keys for."""
        return frozenset(self._engines)

    def prove(self, circuit: str, public_inputs: list[int], inputs: Mapping[str, Any]) -> ProofResult:
        """The proof of exactly these public inputs; raises ProvingError when there is none."""
        from prover.errors import ProverError

        engine = self._engines.get(circuit)
        if engine is None:
            raise ProvingError(f"this prover has no key for the circuit {circuit}")
        started = time.perf_counter()
        try:
            witness = engine.solve(inputs)
            solved = time.perf_counter()
            if list(engine.public_inputs(witness)) != list(public_inputs):
                raise ProvingError("the inputs belong to another statement than the public inputs say")
            proof = engine.prove(witness)
        except ProverError as error:
            raise ProvingError(f"the statement cannot be proved: {error}") from error
        proved = time.perf_counter()
        seconds = {"witness": solved - started, "prove": proved - solved, "total": proved - started}
        return ProofResult(proof=proof.to_bytes(), cached=False, job_id="", seconds=seconds)
