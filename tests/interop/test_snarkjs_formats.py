"""The file formats against the programs that define them: circom and snarkjs."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from protocol.field import R
from prover.formats.proof import read_proof, read_public, write_proof, write_public
from prover.formats.ptau import read_ptau, write_ptau
from prover.formats.r1cs import read_r1cs, write_r1cs
from prover.formats.sym import read_sym, write_sym
from prover.formats.verification_key import VerificationKey, read_verification_key, write_verification_key
from prover.formats.wtns import read_wtns, write_wtns
from prover.formats.zkey import read_zkey, write_zkey
from prover.limbs import from_limbs, to_limbs
from prover.r1cs import R1CS, SparseMatrix
from tests.interop.npm import snarkjs
from tests.interop.sample import BEACON, SAMPLE_INPUT

pytestmark = pytest.mark.interop

BOTH_WAYS = {
    "circuit.r1cs": (read_r1cs, write_r1cs),
    "circuit.sym": (read_sym, write_sym),
    "circuit.wtns": (read_wtns, write_wtns),
    "pot_new.ptau": (read_ptau, write_ptau),
    "pot_beacon.ptau": (read_ptau, write_ptau),
    "pot.ptau": (read_ptau, write_ptau),
    "circuit_0000.zkey": (read_zkey, write_zkey),
    "circuit_0001.zkey": (read_zkey, write_zkey),
    "circuit_final.zkey": (read_zkey, write_zkey),
    "vkey.json": (read_verification_key, write_verification_key),
    "proof.json": (read_proof, write_proof),
    "public.json": (read_public, write_public),
}


def entries(matrix: SparseMatrix) -> list[list[tuple[int, int]]]:
    """(wire, value) pairs of every row."""
    values = from_limbs(matrix.value)
    bounds = matrix.row_ptr.tolist()
    return [[(int(matrix.col[i]), values[i]) for i in range(start, end)] for start, end in pairwise(bounds)]


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_reading_and_writing_a_file_of_snarkjs_changes_no_byte(snarkjs_workspace, tmp_path, name):
    read, write = BOTH_WAYS[name]
    write(tmp_path / name, read(snarkjs_workspace / name))
    assert (tmp_path / name).read_bytes() == (snarkjs_workspace / name).read_bytes()


def test_the_constraints_and_the_witness_of_circom_mean_what_we_read(snarkjs_workspace):
    system = read_r1cs(snarkjs_workspace / "circuit.r1cs")
    witness = from_limbs(read_wtns(snarkjs_workspace / "circuit.wtns"))
    assert (system.n_outputs, system.n_public_inputs, system.n_private_inputs) == (1, 2, 2)
    assert len(witness) == system.n_wires

    def evaluate(matrix: SparseMatrix) -> list[int]:
        return [sum(value * witness[wire] for wire, value in row) % R for row in entries(matrix)]

    a, b, c = evaluate(system.a), evaluate(system.b), evaluate(system.c)
    assert any(c)
    assert all((x * y - z) % R == 0 for x, y, z in zip(a, b, c, strict=True))


def test_symbols_name_the_wires_of_the_inputs(snarkjs_workspace):
    symbols = {symbol.name: symbol for symbol in read_sym(snarkjs_workspace / "circuit.sym")}
    system = read_r1cs(snarkjs_workspace / "circuit.r1cs")
    witness = from_limbs(read_wtns(snarkjs_workspace / "circuit.wtns"))
    assert symbols["main.unused"].wire == -1
    for name in ("secret", "threshold", "tag"):
        symbol = symbols[f"main.{name}"]
        assert witness[symbol.wire] == int(SAMPLE_INPUT[name])
        assert system.labels[symbol.wire] == symbol.label
    assert read_public(snarkjs_workspace / "public.json") == witness[1:4]


def test_the_matrices_in_a_zkey_are_those_of_the_r1cs_with_a_row_for_each_public_wire(snarkjs_workspace):
    system = read_r1cs(snarkjs_workspace / "circuit.r1cs")
    zkey = read_zkey(snarkjs_workspace / "circuit_final.zkey")
    factor = pow(2, 512, R)
    scaled = {
        name: [[(wire, value * factor % R) for wire, value in row] for row in entries(matrix)]
        for name, matrix in (("a", system.a), ("b", system.b))
    }
    binding = [[(wire, factor)] for wire in range(system.n_public + 1)]
    padding = zkey.domain_size - system.n_constraints
    assert entries(zkey.a) == scaled["a"] + binding + [[]] * (padding - len(binding))
    assert entries(zkey.b) == scaled["b"] + [[]] * padding
    assert zkey.domain_size == 256


def test_the_ceremony_records_are_read(snarkjs_workspace):
    steps = read_zkey(snarkjs_workspace / "circuit_final.zkey").mpc.contributions
    assert [(step.contributor.type, step.contributor.name) for step in steps] == [(0, "Zoë"), (1, "beacon")]
    assert steps[1].contributor.iterations_exponent == 10
    assert steps[1].contributor.beacon_hash == bytes.fromhex(BEACON)
    powers = read_ptau(snarkjs_workspace / "pot.ptau")
    assert [step.contributor.name for step in powers.contributions] == ["Zoë", None]
    assert powers.contributions[1].tau_g1.tolist() == powers.tau_g1[1].tolist()
    assert powers.contributions[1].beta_g2.tolist() == powers.beta_g2.tolist()


def test_the_verification_key_inside_a_zkey_is_the_one_snarkjs_exports(snarkjs_workspace):
    exported = read_verification_key(snarkjs_workspace / "vkey.json")
    assert VerificationKey.from_zkey(read_zkey(snarkjs_workspace / "circuit_final.zkey")) == exported


def test_a_truncated_ceremony_is_read_and_written(snarkjs_workspace, tmp_path):
    (tmp_path / "pot.ptau").write_bytes((snarkjs_workspace / "pot.ptau").read_bytes())
    snarkjs("powersoftau", "truncate", "pot.ptau", cwd=tmp_path)
    path = next(tmp_path.glob("pot*03.ptau"))
    powers = read_ptau(path)
    assert (powers.power, powers.ceremony_power) == (3, 8)
    whole = read_ptau(tmp_path / "pot.ptau")
    assert np.array_equal(powers.lagrange("tau_g1", 4), whole.lagrange("tau_g1", 4))
    write_ptau(tmp_path / "again.ptau", powers)
    assert (tmp_path / "again.ptau").read_bytes() == path.read_bytes()


def test_snarkjs_accepts_every_file_we_write(snarkjs_workspace, tmp_path):
    for name, (read, write) in BOTH_WAYS.items():
        write(tmp_path / name, read(snarkjs_workspace / name))
    assert "# of Wires:" in snarkjs("r1cs", "info", "circuit.r1cs", cwd=tmp_path).stdout
    assert "WITNESS IS CORRECT" in snarkjs("wtns", "check", "circuit.r1cs", "circuit.wtns", cwd=tmp_path).stdout
    verified = snarkjs("zkey", "verify", "circuit.r1cs", "pot.ptau", "circuit_final.zkey", cwd=tmp_path)
    assert "ZKey Ok!" in verified.stdout
    assert "OK!" in snarkjs("groth16", "verify", "vkey.json", "public.json", "proof.json", cwd=tmp_path).stdout


def squares(folder: Path, values: list[int]) -> None:
    """Wires 1, y, x with x * x = y, written without circom."""

    def column(wire: int) -> SparseMatrix:
        return SparseMatrix(np.array([0, 1]), np.array([wire], dtype=np.uint32), to_limbs([1]))

    system = R1CS(3, 1, 0, 1, column(2), column(2), column(1), np.arange(3, dtype=np.uint64), 3)
    write_r1cs(folder / "square.r1cs", system)
    write_wtns(folder / "square.wtns", to_limbs(values))


def test_snarkjs_agrees_about_a_system_and_a_witness_of_our_own(tmp_path):
    squares(tmp_path, [1, 49, 7])
    info = snarkjs("r1cs", "info", "square.r1cs", cwd=tmp_path).stdout
    assert "# of Wires: 3" in info
    assert "# of Constraints: 1" in info
    assert "WITNESS IS CORRECT" in snarkjs("wtns", "check", "square.r1cs", "square.wtns", cwd=tmp_path).stdout
    squares(tmp_path, [1, 50, 7])
    wrong = snarkjs("wtns", "check", "square.r1cs", "square.wtns", cwd=tmp_path, check=False)
    assert "WITNESS IS NOT CORRECT" in wrong.stdout
