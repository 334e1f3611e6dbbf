"""What is written is what is read, for every binary format, and reading then writing changes no byte."""

import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prover.errors import FormatError, SetupError
from prover.formats import ptau as ptau_module
from prover.formats import r1cs as r1cs_module
from prover.formats import zkey as zkey_module
from prover.formats.ptau import read_ptau, write_ptau
from prover.formats.r1cs import read_r1cs, write_r1cs
from prover.formats.sym import Symbol, read_sym, write_sym
from prover.formats.wtns import read_wtns, write_wtns
from prover.formats.zkey import read_zkey, write_zkey
from prover.limbs import from_limbs
from prover.r1cs import SparseMatrix
from tests.unit.formats import samples
from tests.unit.formats.equality import same

seeds = st.integers(0, 1 << 32)
contributors = st.lists(st.sampled_from([samples.NOBODY, samples.PERSON, samples.BEACON]), max_size=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("formats")


def dense(matrix: SparseMatrix, columns: int) -> list[list[int]]:
    rows = [[0] * columns for _ in range(matrix.rows)]
    values = from_limbs(matrix.value)
    for row in range(matrix.rows):
        for entry in range(matrix.row_ptr[row], matrix.row_ptr[row + 1]):
            rows[row][matrix.col[entry]] += values[entry]
    return rows


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 9), st.integers(0, 9))
def test_a_constraint_system_survives_a_round_trip(folder, seed, n_wires, n_constraints):
    system = samples.r1cs(seed, n_wires, n_constraints)
    write_r1cs(folder / "a.r1cs", system)
    assert same(read_r1cs(folder / "a.r1cs"), system)


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 9), st.integers(0, 4), contributors, st.booleans())
def test_a_proving_key_survives_a_round_trip(folder, seed, n_vars, power, who, mmap):
    n_public = min(n_vars, 1 << power) - 1
    key = samples.zkey(seed, n_vars, n_public, 1 << power, who)
    write_zkey(folder / "a.zkey", key)
    back = read_zkey(folder / "a.zkey", mmap=mmap)
    assert same(back, key)
    assert back.power == power


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 4), st.booleans(), contributors)
def test_powers_of_tau_survive_a_round_trip(folder, seed, power, prepared, who):
    powers = samples.ptau(seed, power, prepared, who)
    write_ptau(folder / "a.ptau", powers)
    assert same(read_ptau(folder / "a.ptau"), powers)


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 40))
def test_a_witness_survives_a_round_trip(folder, seed, n_wires):
    witness = samples.witness(seed, n_wires)
    write_wtns(folder / "a.wtns", witness)
    assert same(read_wtns(folder / "a.wtns"), witness)


@given(
    st.lists(
        st.builds(
            Symbol,
            st.integers(0, 1 << 40),
            st.integers(-1, 1 << 40),
            st.integers(0, 1 << 40),
            st.from_regex(r"main(\.[a-z]+(\[[0-9]+\])?)+", fullmatch=True),
        ),
        max_size=5,
    )
)
@settings(max_examples=25, deadline=None)
def test_signal_names_survive_a_round_trip(folder, symbols):
    write_sym(folder / "a.sym", symbols)
    assert read_sym(folder / "a.sym") == symbols


@pytest.mark.parametrize("rows_per_piece", [1, 3])
def test_the_size_of_the_pieces_written_changes_nothing(tmp_path, monkeypatch, rows_per_piece):
    write_r1cs(tmp_path / "whole.r1cs", samples.r1cs(1))
    write_zkey(tmp_path / "whole.zkey", samples.zkey(1))
    monkeypatch.setattr(r1cs_module, "_ROWS_PER_PIECE", rows_per_piece)
    monkeypatch.setattr(zkey_module, "_ROWS_PER_PIECE", rows_per_piece)
    monkeypatch.setattr("prover.formats.binfile._CHUNK_BYTES", 100)
    write_r1cs(tmp_path / "pieces.r1cs", samples.r1cs(1))
    write_zkey(tmp_path / "pieces.zkey", samples.zkey(1))
    assert (tmp_path / "pieces.r1cs").read_bytes() == (tmp_path / "whole.r1cs").read_bytes()
    assert (tmp_path / "pieces.zkey").read_bytes() == (tmp_path / "whole.zkey").read_bytes()


def test_the_example_of_the_r1cs_specification_is_read_as_it_says(tmp_path):
    """The hexadecimal example of iden3's r1cs_bin_format.md: three constraints over seven wires."""

    def combination(*terms: tuple[int, int]) -> bytes:
        return samples.u32(len(terms)) + b"".join(samples.u32(wire) + c.to_bytes(32, "little") for c, wire in terms)

    prime = bytes.fromhex("010000f093f5e1439170b97948e833285d588181b64550b829a031e1724e6430")
    header = (
        bytes.fromhex("20000000") + prime + bytes.fromhex("07000000010000000200000003000000e80300000000000003000000")
    )
    constraints = (
        combination((3, 5), (8, 6)) + combination((2, 0), (20, 2), (12, 3)) + combination((5, 0), (7, 2))
        + combination((4, 1), (8, 4), (3, 5)) + combination((44, 3), (6, 6)) + combination()
        + combination((4, 6)) + combination((6, 0), (11, 2), (5, 3)) + combination((600, 6))
    )  # fmt: skip
    labels = struct.pack("<7Q", 0, 3, 10, 11, 12, 15, 324)
    assert len(constraints) == 0x288
    path = tmp_path / "example.r1cs"
    path.write_bytes(samples.join(b"r1cs\x01\x00\x00\x00", [(1, header), (2, constraints), (3, labels)]))
    system = read_r1cs(path)
    assert (system.n_outputs, system.n_public_inputs, system.n_private_inputs, system.n_labels) == (1, 2, 3, 1000)
    assert dense(system.a, 7) == [[0, 0, 0, 0, 0, 3, 8], [0, 4, 0, 0, 8, 3, 0], [0, 0, 0, 0, 0, 0, 4]]
    assert dense(system.b, 7) == [[2, 0, 20, 12, 0, 0, 0], [0, 0, 0, 44, 0, 0, 6], [6, 0, 11, 5, 0, 0, 0]]
    assert dense(system.c, 7) == [[5, 0, 7, 0, 0, 0, 0], [0] * 7, [0, 0, 0, 0, 0, 0, 600]]
    assert system.labels.tolist() == [0, 3, 10, 11, 12, 15, 324]


def test_a_witness_file_has_the_bytes_that_circom_writes(tmp_path):
    """Layout of circom's generated witness_calculator.js: header section of 40 bytes, then the values."""
    write_wtns(tmp_path / "a.wtns", np.array([[1, 0, 0, 0], [2, 0, 0, 3]], dtype=np.uint64))
    expected = (
        b"wtns" + struct.pack("<II", 2, 2) + struct.pack("<IQI", 1, 40, 32) + samples.R_BYTES + struct.pack("<I", 2)
        + struct.pack("<IQ", 2, 64) + struct.pack("<8Q", 1, 0, 0, 0, 2, 0, 0, 3)
    )  # fmt: skip
    assert (tmp_path / "a.wtns").read_bytes() == expected


def test_sections_may_come_in_any_order_and_unknown_ones_are_skipped(tmp_path):
    write_zkey(tmp_path / "a.zkey", samples.zkey(1))
    content = (tmp_path / "a.zkey").read_bytes()
    sections = [(77, b"something else"), *reversed(samples.split(content))]
    (tmp_path / "b.zkey").write_bytes(samples.join(content, sections))
    assert same(read_zkey(tmp_path / "b.zkey"), samples.zkey(1))


def test_coefficients_in_any_order_give_the_same_matrices(tmp_path):
    key = samples.zkey(3)
    write_zkey(tmp_path / "a.zkey", key)
    content = (tmp_path / "a.zkey").read_bytes()
    sections = dict(samples.split(content))
    records = [sections[4][i : i + 44] for i in range(4, len(sections[4]), 44)]
    sections[4] = sections[4][:4] + b"".join(reversed(records))
    (tmp_path / "b.zkey").write_bytes(samples.join(content, list(sections.items())))
    back = read_zkey(tmp_path / "b.zkey")
    assert dense(back.a, key.n_vars) == dense(key.a, key.n_vars)
    assert dense(back.b, key.n_vars) == dense(key.b, key.n_vars)


def test_rows_out_of_wire_order_are_put_in_order_both_ways(tmp_path):
    system = samples.r1cs(5, n_wires=9, n_constraints=8)

    def backwards(matrix: SparseMatrix) -> SparseMatrix:
        pieces = [np.arange(lo, hi)[::-1] for lo, hi in zip(matrix.row_ptr, matrix.row_ptr[1:], strict=False)]
        order = np.concatenate(pieces)
        return SparseMatrix(matrix.row_ptr, matrix.col[order], matrix.value[order])

    write_r1cs(tmp_path / "a.r1cs", replace(system, a=backwards(system.a), b=backwards(system.b)))
    assert same(read_r1cs(tmp_path / "a.r1cs"), system)


def test_a_mapped_key_is_read_only_and_a_loaded_one_is_aligned(tmp_path):
    write_zkey(tmp_path / "a.zkey", samples.zkey(1))
    assert not read_zkey(tmp_path / "a.zkey").points_a.flags.writeable
    loaded = read_zkey(tmp_path / "a.zkey", mmap=False)
    assert loaded.points_b2.flags.writeable
    assert loaded.points_b2.flags.aligned


def test_a_mapped_key_outlives_the_replacement_of_its_file(tmp_path):
    write_zkey(tmp_path / "a.zkey", samples.zkey(1))
    mapped = read_zkey(tmp_path / "a.zkey")
    write_zkey(tmp_path / "a.zkey", samples.zkey(2))
    assert same(mapped, samples.zkey(1))


def test_lagrange_bases_are_found_by_family_and_power():
    powers = samples.ptau(1, power=3)
    assert np.array_equal(powers.lagrange("tau_g1", 0), powers.lagrange_bases.tau_g1[0:1])
    assert np.array_equal(powers.lagrange("tau_g1", 4), powers.lagrange_bases.tau_g1[15:31])
    assert np.array_equal(powers.lagrange("tau_g2", 3), powers.lagrange_bases.tau_g2[7:15])
    assert powers.lagrange("beta_tau_g1", 2).shape == (4, 8)
    with pytest.raises(SetupError, match="take a larger file"):
        powers.lagrange("alpha_tau_g1", 4)
    with pytest.raises(SetupError, match="take a larger file"):
        powers.lagrange("tau_g1", 5)
    with pytest.raises(SetupError, match="not prepared"):
        samples.ptau(1, prepared=False).lagrange("tau_g1", 1)


@pytest.mark.parametrize(
    ("write", "wrong"),
    [
        (write_zkey, replace(samples.zkey(1), points_h=samples.zkey(1).points_h[1:])),
        (write_zkey, replace(samples.zkey(1), delta_g2=samples.zkey(1).delta_g1)),
        (write_zkey, replace(samples.zkey(1), domain_size=7)),
        (write_zkey, replace(samples.zkey(1), a=samples.zkey(1, domain_size=4).a)),
        (write_ptau, replace(samples.ptau(1), tau_g1=samples.ptau(1).tau_g2)),
        (write_ptau, replace(samples.ptau(1), power=0)),
        (write_ptau, replace(samples.ptau(1), beta_g2=samples.ptau(1).beta_g2.astype(np.int64))),
        (write_r1cs, replace(samples.r1cs(1), n_wires=3, labels=samples.r1cs(1).labels[:3])),
        (write_r1cs, replace(samples.r1cs(1), labels=samples.r1cs(1).labels[1:])),
        (write_r1cs, replace(samples.r1cs(1), b=samples.r1cs(1, n_constraints=4).b)),
        (write_wtns, samples.witness(1)[1:]),
        (write_wtns, samples.witness(1)[:0]),
        (write_wtns, samples.witness(1).astype(np.int64)),
        (write_wtns, np.vstack([samples.witness(1), np.full((1, 4), 2**64 - 1, dtype=np.uint64)])),
        (write_sym, [(1, 1, 1, "main.a,b")]),
        (write_sym, [(1, 1, 1, "main.a\n")]),
    ],
)
def test_a_writer_refuses_what_no_reader_would_accept_and_leaves_no_file(tmp_path, write, wrong):
    with pytest.raises(FormatError):
        write(tmp_path / "file", wrong)
    assert list(tmp_path.iterdir()) == []


def test_the_section_order_is_that_of_the_snarkjs_command_that_makes_such_a_file(tmp_path):
    """`zkey new` and `zkey contribute` of snarkjs 0.7.6, as seen in their files."""
    write_zkey(tmp_path / "new.zkey", samples.zkey(1, contributors=()))
    write_zkey(tmp_path / "contributed.zkey", samples.zkey(1))
    write_ptau(tmp_path / "pot.ptau", samples.ptau(1))
    order = {path.name: [number for number, _ in samples.split(path.read_bytes())] for path in tmp_path.iterdir()}
    assert order["new.zkey"] == [1, 2, 4, 3, 9, 8, 5, 6, 7, 10]
    assert order["contributed.zkey"] == list(range(1, 11))
    assert order["pot.ptau"] == [1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15]
    assert ptau_module.PTAU.version == zkey_module.ZKEY.version == 1
