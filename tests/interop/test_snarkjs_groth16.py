"""Setup, proving and verification against snarkjs and circom, in both directions."""

import json

import pytest
from typer.testing import CliRunner

from gelap.cli import app
from prover.formats.proof import read_proof, read_public, write_proof, write_public
from prover.formats.ptau import read_ptau
from prover.formats.r1cs import read_r1cs
from prover.formats.verification_key import read_verification_key, write_verification_key
from prover.formats.wtns import read_wtns
from prover.formats.zkey import read_zkey, write_zkey
from prover.groth16.ceremony import new_powers_of_tau
from prover.groth16.phase2 import contribute
from prover.groth16.prove import ProvingKey, prove
from prover.groth16.setup import domain_power, initial_key, setup
from prover.groth16.verification_key import verification_key
from prover.groth16.verify import verify
from prover.limbs import from_limbs
from tests.interop.npm import snarkjs

pytestmark = pytest.mark.interop


def test_snarkjs_verifies_our_proof_from_its_key_and_circoms_witness(snarkjs_workspace, tmp_path):
    key = ProvingKey.load(snarkjs_workspace / "circuit_final.zkey")
    witness = read_wtns(snarkjs_workspace / "circuit.wtns")
    write_proof(tmp_path / "proof.json", prove(key, witness))
    write_public(tmp_path / "public.json", from_limbs(witness[1 : key.n_public + 1]))
    assert (tmp_path / "public.json").read_bytes() == (snarkjs_workspace / "public.json").read_bytes()
    files = (snarkjs_workspace / "vkey.json", tmp_path / "public.json", tmp_path / "proof.json")
    assert "OK!" in snarkjs("groth16", "verify", *files, cwd=tmp_path).stdout


def test_we_verify_the_proof_of_snarkjs_and_nothing_near_it(snarkjs_workspace):
    key = read_verification_key(snarkjs_workspace / "vkey.json")
    public = read_public(snarkjs_workspace / "public.json")
    proof = read_proof(snarkjs_workspace / "proof.json")
    assert verify(key, public, proof)
    assert not verify(key, [public[0] + 1, *public[1:]], proof)


def test_our_initial_key_is_byte_for_byte_that_of_snarkjs(snarkjs_workspace, tmp_path):
    """Every point of every section, the coefficients and the circuit hash, from the same constraints and powers."""
    constraints = read_r1cs(snarkjs_workspace / "circuit.r1cs")
    write_zkey(tmp_path / "circuit_0000.zkey", initial_key(constraints, read_ptau(snarkjs_workspace / "pot.ptau")))
    assert (tmp_path / "circuit_0000.zkey").read_bytes() == (snarkjs_workspace / "circuit_0000.zkey").read_bytes()


def test_snarkjs_accepts_our_key_with_our_contribution(snarkjs_workspace, tmp_path):
    constraints = read_r1cs(snarkjs_workspace / "circuit.r1cs")
    write_zkey(tmp_path / "key.zkey", setup(constraints, read_ptau(snarkjs_workspace / "pot.ptau")))
    files = (snarkjs_workspace / "circuit.r1cs", snarkjs_workspace / "pot.ptau", "key.zkey")
    said = snarkjs("zkey", "verify", *files, cwd=tmp_path).stdout
    assert "contribution #1 gelap setup" in said
    assert "ZKey Ok!" in said


def test_contributions_of_snarkjs_and_ours_can_follow_each_other(snarkjs_workspace, tmp_path):
    theirs = read_zkey(snarkjs_workspace / "circuit_final.zkey")
    write_zkey(tmp_path / "third.zkey", contribute(theirs, "a third person"))
    snarkjs("zkey", "contribute", "third.zkey", "fourth.zkey", "--name=a fourth", "-e=entropy", cwd=tmp_path)
    files = (snarkjs_workspace / "circuit.r1cs", snarkjs_workspace / "pot.ptau", "fourth.zkey")
    said = snarkjs("zkey", "verify", *files, cwd=tmp_path).stdout
    assert "contribution #3 a third person" in said
    assert "ZKey Ok!" in said

    key = ProvingKey.load(tmp_path / "fourth.zkey")
    witness = read_wtns(snarkjs_workspace / "circuit.wtns")
    assert verify(key.verification_key, from_limbs(witness[1:4]), prove(key, witness))


def test_our_verification_key_is_byte_for_byte_the_one_snarkjs_exports(snarkjs_workspace, tmp_path):
    write_verification_key(
        tmp_path / "vkey.json", verification_key(read_zkey(snarkjs_workspace / "circuit_final.zkey"))
    )
    assert (tmp_path / "vkey.json").read_bytes() == (snarkjs_workspace / "vkey.json").read_bytes()


@pytest.mark.parametrize("power", [1, 4, 6])
def test_snarkjs_accepts_our_powers_of_tau(tmp_path, power):
    new_powers_of_tau(power, tmp_path / "own.ptau")
    said = snarkjs("powersoftau", "verify", "own.ptau", cwd=tmp_path).stdout
    assert "Contribution #1: gelap, for development only" in said
    assert "Powers of Tau Ok!" in said


def test_snarkjs_rejects_our_powers_of_tau_when_one_lagrange_point_is_changed(tmp_path):
    """The acceptance above means something: the last section is checked as well."""
    new_powers_of_tau(3, tmp_path / "own.ptau")
    content = bytearray((tmp_path / "own.ptau").read_bytes())
    content[-128:-64], content[-64:] = content[-64:], content[-128:-64]
    (tmp_path / "own.ptau").write_bytes(content)
    said = snarkjs("powersoftau", "verify", "own.ptau", cwd=tmp_path, check=False).stdout
    assert "Powers of Tau Ok!" not in said


def test_snarkjs_contributes_to_our_powers_of_tau(tmp_path):
    """The recorded challenge and hasher state are good enough to go on from."""
    new_powers_of_tau(2, tmp_path / "own.ptau")
    snarkjs("powersoftau", "contribute", "own.ptau", "next.ptau", "--name=next", "-e=entropy", cwd=tmp_path)
    assert "Powers of Tau Ok!" in snarkjs("powersoftau", "verify", "next.ptau", cwd=tmp_path).stdout


def test_snarkjs_prepares_the_same_lagrange_bases_from_our_powers(tmp_path):
    new_powers_of_tau(4, tmp_path / "own.ptau")
    snarkjs("powersoftau", "prepare", "phase2", "own.ptau", "again.ptau", cwd=tmp_path)
    assert (tmp_path / "again.ptau").read_bytes() == (tmp_path / "own.ptau").read_bytes()


def gelap(*arguments: object) -> None:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output


def test_a_circom_circuit_goes_through_our_commands_alone_and_snarkjs_agrees(snarkjs_workspace, tmp_path):
    circuit, witness = snarkjs_workspace / "circuit.r1cs", snarkjs_workspace / "circuit.wtns"
    power = domain_power(read_r1cs(circuit))
    files = {name: tmp_path / name for name in ("own.ptau", "key.zkey", "vkey.json", "proof.json", "public.json")}
    gelap("ptau", "new", power, files["own.ptau"])
    keys = ("--out", files["key.zkey"], "--vkey", files["vkey.json"])
    gelap("setup", "--r1cs", circuit, "--ptau", files["own.ptau"], *keys)
    made = ("--proof", files["proof.json"], "--public", files["public.json"])
    gelap("prove", "--zkey", files["key.zkey"], "--wtns", witness, *made)
    gelap("verify", "--vkey", files["vkey.json"], *made)

    assert "OK!" in snarkjs("groth16", "verify", "vkey.json", "public.json", "proof.json", cwd=tmp_path).stdout
    assert "ZKey Ok!" in snarkjs("zkey", "verify", circuit, "own.ptau", "key.zkey", cwd=tmp_path).stdout
    public = json.loads(files["public.json"].read_text())
    files["public.json"].write_text(json.dumps([*public[:-1], str(int(public[-1]) + 1)]))
    refused = snarkjs("groth16", "verify", "vkey.json", "public.json", "proof.json", cwd=tmp_path, check=False).stdout
    assert "Invalid proof" in refused


def test_snarkjs_makes_a_key_from_our_powers_of_tau_and_we_prove_with_it(snarkjs_workspace, tmp_path):
    new_powers_of_tau(8, tmp_path / "own.ptau")
    snarkjs("groth16", "setup", snarkjs_workspace / "circuit.r1cs", "own.ptau", "first.zkey", cwd=tmp_path)
    snarkjs("zkey", "contribute", "first.zkey", "key.zkey", "--name=one", "-e=entropy", cwd=tmp_path)
    key = ProvingKey.load(tmp_path / "key.zkey")
    witness = read_wtns(snarkjs_workspace / "circuit.wtns")
    assert verify(key.verification_key, from_limbs(witness[1:4]), prove(key, witness))
