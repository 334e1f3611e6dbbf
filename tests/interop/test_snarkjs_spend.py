"""The real circuits of spends through snarkjs: the keys it accepts are those that payments are proved with."""

import pytest

from prover.engine import Engine
from prover.formats.proof import read_proof, read_public, write_proof, write_public
from prover.formats.r1cs import write_r1cs
from prover.formats.wtns import write_wtns
from prover.groth16.setup import domain_power
from prover.keys import Manifest, default_directory, ensure_keys
from prover.statements import registry
from tests.interop.npm import snarkjs
from tests.unit.circuit.sample_statements import honest_spend_of, public_values

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def keys_of(name: str) -> Manifest:
    """This machine's development keys, which other tests use too: made here when missing."""
    return ensure_keys(default_directory(), [name])


def test_snarkjs_accepts_the_key_of_spend(tmp_path):
    """Every point of the key against constraints and powers of tau; also the one hash input that is no point."""
    manifest = keys_of("spend")
    constraints = registry.build("spend").r1cs
    write_r1cs(tmp_path / "spend.r1cs", constraints)
    power = domain_power(constraints)
    assert power == 15
    files = (manifest.directory / f"development_{power}.ptau", manifest.zkey_path("spend_2x2"))
    said = snarkjs("zkey", "verify", "spend.r1cs", *files, cwd=tmp_path).stdout
    assert "contribution #1 gelap setup" in said
    assert "ZKey Ok!" in said


@pytest.mark.parametrize(("name", "arity"), [("spend_2x3", (2, 3)), ("spend_8x2", (8, 2))])
def test_snarkjs_accepts_proofs_of_the_other_arities(name, arity, tmp_path):
    manifest = keys_of(name)
    inputs = honest_spend_of(*arity)
    engine = Engine.load(name, manifest.zkey_path(name))
    write_proof(tmp_path / "proof.json", engine.prove(engine.solve(inputs)))
    vkey = manifest.directory / f"{name}.vkey.json"
    write_public(tmp_path / "public.json", public_values(inputs))
    assert "OK!" in snarkjs("groth16", "verify", vkey, "public.json", "proof.json", cwd=tmp_path).stdout
    write_public(tmp_path / "public.json", [*public_values(inputs)[:-1], 1])
    assert snarkjs("groth16", "verify", vkey, "public.json", "proof.json", cwd=tmp_path, check=False).returncode


def test_snarkjs_proves_a_spend_to_three_from_our_files(tmp_path):
    """Our witness satisfies our constraints, and our key makes a proof of it that we accept, by snarkjs's reading."""
    name = "spend_2x3"
    manifest = keys_of(name)
    inputs = honest_spend_of(2, 3)
    engine = Engine.load(name, manifest.zkey_path(name))
    write_r1cs(tmp_path / "spend.r1cs", registry.build(name).r1cs)
    write_wtns(tmp_path / "witness.wtns", engine.solve(inputs))
    assert "WITNESS IS CORRECT" in snarkjs("wtns", "check", "spend.r1cs", "witness.wtns", cwd=tmp_path).stdout
    snarkjs("groth16", "prove", manifest.zkey_path(name), "witness.wtns", "proof.json", "public.json", cwd=tmp_path)
    assert read_public(tmp_path / "public.json") == public_values(inputs)
    proof = read_proof(tmp_path / "proof.json")
    assert engine.verify(public_values(inputs), proof)
    assert not engine.verify([*public_values(inputs)[:-1], 1], proof)
