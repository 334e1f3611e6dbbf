"""A worker's circuits are the real proving engine, and only with the keys that the manifest names."""

import hashlib
from pathlib import Path

import pytest

from prover.circuit.builder import Builder
from prover.circuit.compile import compile_circuit
from prover.engine import Engine
from prover.errors import UnsatisfiedError
from prover.formats.zkey import write_zkey
from prover.groth16.prove import ProvingKey
from prover.groth16.setup import setup
from tests.unit.groth16 import samples
from worker.engines import EngineCircuit, load_circuits
from worker.errors import ConfigurationError, ProvingFailedError
from worker.executor import Executor
from worker.manifest import CircuitEntry


@pytest.fixture(scope="module")
def circuit() -> EngineCircuit:
    builder = Builder("square")
    square, root = builder.public_input("square"), builder.private_input("root")
    builder.constrain(root, root, square)
    compiled = compile_circuit(builder)
    return EngineCircuit(Engine(compiled, ProvingKey.from_zkey(setup(compiled.r1cs, samples.powers_of_tau()))))


def test_a_proof_is_256_bytes_that_verify(circuit):
    executor = Executor({"square": circuit})
    witness = circuit.solve({"square": 49, "root": 7})
    assert circuit.public_inputs(witness) == [49]
    square = executor.circuit("square", circuit.verification_key_digest)
    proof = executor.prove(square, witness, lambda: None).result().proof
    executor.close()
    assert len(proof) == 256
    assert circuit.verify([49], proof)
    assert not circuit.verify([50], proof)


@pytest.mark.parametrize("proof", [bytes(256), b"\xff" * 256, b"\x01" * 256], ids=["zero", "not below q", "no points"])
def test_bytes_that_are_no_points_are_an_invalid_proof_and_not_an_error(circuit, proof):
    assert circuit.verify([49], proof) is False


def test_inputs_that_break_a_constraint_have_no_witness(circuit):
    with pytest.raises(UnsatisfiedError):
        circuit.solve({"square": 50, "root": 7})


def test_a_circuit_without_a_key_here_is_left_to_other_workers(circuit):
    with pytest.raises(ProvingFailedError, match="cube"):
        Executor({"square": circuit}).circuit("cube", circuit.verification_key_digest)


def entry(path: Path, name: str = "spend_2x2", zkey_sha256: bytes | None = None) -> CircuitEntry:
    digest = zkey_sha256 or hashlib.sha256(path.read_bytes()).digest()
    return CircuitEntry(name, path, digest, path.with_suffix(".json"), bytes(32), 8, True)


def test_a_proving_key_that_is_not_the_manifests_is_refused(tmp_path):
    zkey = tmp_path / "spend_2x2.zkey"
    write_zkey(zkey, samples.zkey())
    cases = {
        "is not the file that the manifest names": entry(zkey, zkey_sha256=bytes(32)),
        "not one of circuit spend_2x2": entry(zkey),
        "gelap keys make": entry(zkey, name="nonsense"),
        "cannot be read": entry(tmp_path / "absent.zkey", zkey_sha256=bytes(32)),
    }
    for says, wrong in cases.items():
        with pytest.raises(ConfigurationError, match=says):
            load_circuits({wrong.name: wrong})


def test_a_file_that_is_no_proving_key_is_refused(tmp_path):
    garbage = tmp_path / "garbage.zkey"
    garbage.write_bytes(b"zkey" + bytes(100))
    with pytest.raises(ConfigurationError, match="gelap keys make"):
        load_circuits({"spend_2x2": entry(garbage)})
