"""Local and remote provers are called alike, and fail alike: with a wallet's error that says what to do."""

from types import SimpleNamespace

import pytest

from chain.proving import ProofSource
from proto.client import ProverClient
from prover.errors import UnsatisfiedError
from wallet.errors import ProvingError
from wallet.proving import LocalProver, RemoteProver


class Engine:
    """An engine whose witness is its inputs and whose proof is fixed."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def solve(self, inputs: dict[str, int]) -> dict[str, int]:
        if self._error:
            raise self._error
        return inputs

    def public_inputs(self, witness: dict[str, int]) -> list[int]:
        return [witness["x"]]

    def prove(self, witness: dict[str, int]) -> SimpleNamespace:
        return SimpleNamespace(to_bytes=lambda: b"\x07" * 256)


def local(engine: Engine) -> ProofSource:
    return LocalProver({"spend_2x2": engine})  # type: ignore[dict-item]


def test_a_local_prover_returns_the_proof_and_its_times() -> None:
    result = local(Engine()).prove("spend_2x2", [5], {"x": 5})
    assert result.proof == b"\x07" * 256
    assert not result.cached
    assert set(result.seconds) == {"witness", "prove", "total"}


def test_a_local_prover_refuses_inputs_of_another_statement() -> None:
    with pytest.raises(ProvingError, match="another statement"):
        local(Engine()).prove("spend_2x2", [6], {"x": 5})


def test_a_statement_that_is_false_is_reported_as_a_proving_error() -> None:
    with pytest.raises(ProvingError, match="cannot be proved: constraint 3"):
        local(Engine(UnsatisfiedError("constraint 3 does not hold"))).prove("spend_2x2", [5], {"x": 5})


def test_a_circuit_without_a_key_is_reported() -> None:
    with pytest.raises(ProvingError, match="no key for the circuit insert_64"):
        local(Engine()).prove("insert_64", [5], {"x": 5})


def test_a_cluster_that_does_not_answer_is_reported_as_a_proving_error() -> None:
    with ProverClient("127.0.0.1:9", "a-key") as client:
        remote: ProofSource = RemoteProver(client, timeout=5.0)
        with pytest.raises(ProvingError, match="did not deliver a proof"):
            remote.prove("spend_2x2", [5], {"x": 5})
