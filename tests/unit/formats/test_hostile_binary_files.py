"""Damaged and hostile files give one FormatError that names the file, and cost neither memory nor a traceback."""

import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.field import Q, R
from prover.errors import FormatError
from prover.formats.ptau import PowersOfTau, read_ptau, write_ptau
from prover.formats.r1cs import read_r1cs, write_r1cs
from prover.formats.sym import read_sym, write_sym
from prover.formats.wtns import read_wtns, write_wtns
from prover.formats.zkey import ZKey, read_zkey, write_zkey
from prover.limbs import from_limbs
from prover.r1cs import R1CS, SparseMatrix
from tests.unit.formats import samples
from tests.unit.formats.samples import Q_BYTES, R_BYTES, edit, join, split, u32

READERS = {"r1cs": read_r1cs, "zkey": read_zkey, "ptau": read_ptau, "wtns": read_wtns}
ALL_ONES = b"\xff" * 32


@pytest.fixture(scope="module")
def contents(tmp_path_factory) -> dict[str, bytes]:
    """One good file of each kind."""
    folder = tmp_path_factory.mktemp("good")
    write_r1cs(folder / "r1cs", samples.r1cs(1))
    write_zkey(folder / "zkey", samples.zkey(1))
    write_ptau(folder / "ptau", samples.ptau(1))
    write_wtns(folder / "wtns", samples.witness(1))
    return {kind: (folder / kind).read_bytes() for kind in READERS}


def refusal(kind: str, path) -> str:
    with pytest.raises(FormatError) as caught:
        READERS[kind](path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def without(content: bytes, number: int) -> bytes:
    return join(content, [section for section in split(content) if section[0] != number])


def twice(content: bytes, number: int) -> bytes:
    sections = split(content)
    return join(content, sections + [section for section in sections if section[0] == number])


def resized(content: bytes, number: int, change: Callable[[bytes], bytes]) -> bytes:
    return join(content, [(own, change(section) if own == number else section) for own, section in split(content)])


def claimed_size(content: bytes, size: int) -> bytes:
    """The first section claims to be `size` bytes."""
    return content[:16] + struct.pack("<Q", size) + content[24:]


FRAMING = {
    "empty": (lambda c: b"", "empty"),
    "shorter than a header": (lambda c: c[:11], "too short"),
    "wrong magic": (lambda c: b"PK\x03\x04" + c[4:], "this is not"),
    "future version": (lambda c: c[:4] + u32(9) + c[8:], "version 9 is not supported"),
    "no sections": (lambda c: c[:8] + u32(0), "missing"),
    "more sections than there are": (lambda c: c[:8] + u32(12) + c[12:], "cut off"),
    "fewer sections than there are": (lambda c: c[:8] + u32(1) + c[12:], "follow the last section"),
    "four billion sections": (lambda c: c[:8] + u32(2**32 - 1) + c[12:], "more than any"),
    "trailing bytes": (lambda c: c + b"\x00", "1 bytes follow the last section"),
    "one byte short": (lambda c: c[:-1], "cut off"),
    "section of 2^64 - 1 bytes": (lambda c: claimed_size(c, 2**64 - 1), "cut off"),
    "section over the whole file and its neighbours": (lambda c: claimed_size(c, len(c) - 24), "cut off"),
    "section that swallows its neighbour's header": (lambda c: claimed_size(c, len(split(c)[0][1]) + 5), ""),
    "header section twice": (lambda c: twice(c, 1), "section 1 appears twice"),
    "header section missing": (lambda c: without(c, 1), "section 1 is missing"),
    "header too long": (lambda c: resized(c, 1, lambda s: s + b"\x00"), "too long"),
    "header too short": (lambda c: resized(c, 1, lambda s: s[:-1]), "too short"),
    "header empty": (lambda c: resized(c, 1, lambda s: b""), "too short"),
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("name", FRAMING)
def test_broken_framing_is_refused(tmp_path, contents, kind, name):
    mutate, expected = FRAMING[name]
    path = tmp_path / "file"
    path.write_bytes(mutate(contents[kind]))
    assert expected in refusal(kind, path)


@pytest.mark.parametrize("kind", READERS)
def test_a_missing_file_a_folder_a_device_and_a_closed_file_are_refused(tmp_path, kind):
    assert "No such file" in refusal(kind, tmp_path / "nothing")
    assert "directory" in refusal(kind, tmp_path)
    assert "not a regular file" in refusal(kind, "/dev/null")
    with pytest.raises(FormatError, match="zero byte"):
        READERS[kind]("a\0b")


BLS12_381_R = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001

HOSTILE = [
    ("r1cs", lambda c: edit(c, 1, 4, BLS12_381_R.to_bytes(32, "little")), "another curve"),
    ("r1cs", lambda c: edit(c, 1, 0, u32(48)), "another curve"),
    ("r1cs", lambda c: edit(c, 1, 0, u32(2**32 - 1)), "another curve"),
    ("r1cs", lambda c: edit(c, 1, 36, u32(3)), "do not fit into 3 wires"),
    ("r1cs", lambda c: edit(c, 1, 36, u32(2**32 - 1)), "section 3 has 56 bytes for 4294967295 wires"),
    ("r1cs", lambda c: edit(c, 1, 40, u32(2**32 - 1)), "public signals do not fit"),
    ("r1cs", lambda c: edit(c, 1, 60, u32(2**32 - 1)), "more than BN254 can prove"),
    ("r1cs", lambda c: edit(c, 1, 60, u32(2**28)), "too short for 268435456 constraints"),
    ("r1cs", lambda c: edit(c, 1, 60, u32(4)), "does not end with its last constraint"),
    ("r1cs", lambda c: edit(c, 1, 60, u32(6)), "ends inside constraint 5"),
    ("r1cs", lambda c: edit(c, 1, 52, struct.pack("<Q", 3)), "label that does not exist"),
    ("r1cs", lambda c: edit(c, 3, 0, struct.pack("<Q", 1)), "label that does not exist"),
    ("r1cs", lambda c: resized(c, 3, lambda s: s[:-8]), "48 bytes for 7 wires"),
    ("r1cs", lambda c: edit(c, 2, 0, u32(2**32 - 1)), "ends inside constraint"),
    ("r1cs", lambda c: resized(c, 2, lambda s: s + b"\0\0"), "not a whole number of words"),
    ("r1cs", lambda c: resized(c, 2, lambda s: s + u32(0)), "does not end with its last constraint"),
    ("r1cs", lambda c: without(c, 2), "section 2 is missing"),
    ("r1cs", lambda c: without(c, 3), "section 3 is missing"),
    ("r1cs", lambda c: join(c, [*split(c), (4, u32(1)), (5, u32(1))]), "custom gates"),
    ("r1cs", lambda c: join(c, [*split(c), (4, b"")]), "too short"),
    ("zkey", lambda c: edit(c, 1, 0, u32(2)), "PLONK or FFLONK"),
    ("zkey", lambda c: edit(c, 2, 4, R_BYTES), "another curve"),
    ("zkey", lambda c: edit(c, 2, 40, Q_BYTES), "another curve"),
    ("zkey", lambda c: edit(c, 2, 72, u32(2)), "do not fit into 2 wires"),
    ("zkey", lambda c: edit(c, 2, 72, u32(2**32 - 1)), "where the header asks for"),
    ("zkey", lambda c: edit(c, 2, 72, u32(7)), "where the header asks for"),
    ("zkey", lambda c: edit(c, 2, 76, u32(2**32 - 1)), "do not fit"),
    ("zkey", lambda c: edit(c, 2, 76, u32(1)), "where the header asks for"),
    ("zkey", lambda c: edit(c, 2, 80, u32(0)), "not a power of two"),
    ("zkey", lambda c: edit(c, 2, 80, u32(12)), "not a power of two"),
    ("zkey", lambda c: edit(c, 2, 80, u32(2)), "do not fit into a domain of 2"),
    ("zkey", lambda c: edit(c, 2, 80, u32(1 << 28)), "section 9 has 512 bytes"),
    ("zkey", lambda c: edit(c, 2, 80, u32(1 << 29)), "not a power of two"),
    ("zkey", lambda c: edit(c, 2, 84, bytes(64)), "at infinity"),
    ("zkey", lambda c: edit(c, 2, -128, bytes(128)), "at infinity"),
    ("zkey", lambda c: edit(c, 2, 84, Q_BYTES), "outside the field"),
    ("zkey", lambda c: edit(c, 3, 32, Q_BYTES), "section 3 holds a number outside the field at row 0"),
    ("zkey", lambda c: edit(c, 4, 0, u32(2**32 - 1)), "for 4294967295 coefficients"),
    ("zkey", lambda c: edit(c, 4, 4, u32(2)), "matrix other than A and B"),
    ("zkey", lambda c: edit(c, 4, 8, u32(8)), "outside the domain"),
    ("zkey", lambda c: edit(c, 4, 12, u32(6)), "wire that does not exist"),
    ("zkey", lambda c: edit(c, 4, 16, R_BYTES), "coefficient outside the field"),
    ("zkey", lambda c: resized(c, 4, lambda s: s[:3]), "too short"),
    ("zkey", lambda c: edit(c, 5, -32, ALL_ONES), "at row 5"),
    ("zkey", lambda c: edit(c, 7, 128 + 96, Q_BYTES), "at row 1"),
    ("zkey", lambda c: resized(c, 8, lambda s: s[64:]), "section 8 has 128 bytes"),
    ("zkey", lambda c: resized(c, 9, lambda s: s + bytes(64)), "section 9 has 576 bytes"),
    ("zkey", lambda c: without(c, 10), "section 10 is missing"),
    ("zkey", lambda c: edit(c, 10, 64, u32(2**32 - 1)), "section 10"),
    ("zkey", lambda c: edit(c, 10, 64, u32(1)), "too long"),
    ("zkey", lambda c: edit(c, 10, 68, ALL_ONES), "outside the field"),
    ("ptau", lambda c: edit(c, 1, 4, R_BYTES), "another curve"),
    ("ptau", lambda c: edit(c, 1, 36, u32(0)), "a power of 0"),
    ("ptau", lambda c: edit(c, 1, 36, u32(3)), "a power of 3 in a ceremony of 2"),
    ("ptau", lambda c: edit(c, 1, 36, u32(28) + u32(28)), "where the header asks for"),
    ("ptau", lambda c: edit(c, 1, 36, u32(2**32 - 1) + u32(2**32 - 1)), "not within 1 to 28"),
    ("ptau", lambda c: edit(c, 2, 64, Q_BYTES), "section 2 holds a number outside the field at row 1"),
    ("ptau", lambda c: edit(c, 6, 0, Q_BYTES), "outside the field"),
    ("ptau", lambda c: without(c, 6), "section 6 is missing"),
    ("ptau", lambda c: without(c, 7), "section 7 is missing"),
    ("ptau", lambda c: without(c, 12), "section 12 is missing"),
    ("ptau", lambda c: without(c, 15), "section 15 is missing"),
    ("ptau", lambda c: resized(c, 13, lambda s: s[:-128]), "section 13"),
    ("ptau", lambda c: edit(c, 7, 0, u32(2**32 - 1)), "section 7"),
    ("wtns", lambda c: edit(c, 1, 4, Q_BYTES), "another curve"),
    ("wtns", lambda c: edit(c, 1, 36, u32(2**32 - 1)), "where the header asks for"),
    ("wtns", lambda c: edit(c, 1, 36, u32(6)), "where the header asks for"),
    ("wtns", lambda c: resized(edit(c, 1, 36, u32(0)), 2, lambda s: b""), "not the constant one"),
    ("wtns", lambda c: edit(c, 2, 0, u32(2)), "not the constant one"),
    ("wtns", lambda c: edit(c, 2, 0, bytes(32)), "not the constant one"),
    ("wtns", lambda c: edit(c, 2, 32, R_BYTES), "outside the field at row 1"),
    ("wtns", lambda c: edit(c, 2, -32, ALL_ONES), "outside the field at row 6"),
]


@pytest.mark.parametrize(("kind", "mutate", "expected"), HOSTILE)
def test_a_file_that_contradicts_itself_is_refused(tmp_path, contents, kind, mutate, expected):
    path = tmp_path / "file"
    path.write_bytes(mutate(contents[kind]))
    tracemalloc.start()
    try:
        assert expected in refusal(kind, path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_constraint_that_names_a_wire_twice_or_one_that_does_not_exist_is_refused(tmp_path, contents):
    def with_first_wires(first: int, second: int) -> bytes:
        entries = u32(first) + bytes(32) + u32(second) + bytes(32)
        constraints = (u32(2) + entries + u32(0) + u32(0)) + u32(0) * 12
        return resized(contents["r1cs"], 2, lambda _: constraints)

    path = tmp_path / "file"
    path.write_bytes(with_first_wires(3, 4))
    assert read_r1cs(path).a.col.tolist() == [3, 4]
    path.write_bytes(with_first_wires(3, 3))
    assert "names a wire twice" in refusal("r1cs", path)
    path.write_bytes(with_first_wires(3, 7))
    assert "wire that does not exist" in refusal("r1cs", path)
    path.write_bytes(edit(with_first_wires(3, 4), 2, 8, R_BYTES))
    assert "coefficient outside the field" in refusal("r1cs", path)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (u32(2) + u32(0), "unknown contribution type 2"),
        (u32(0) + u32(2**32 - 1), "cut off"),
        (u32(0) + u32(3) + b"\x01\x02a", "too short"),
        (u32(0) + u32(2) + b"\x01\x02ab", "longer than announced"),
        (u32(0) + u32(4) + b"\x01\x02\xff\xfe", "not UTF-8"),
        (u32(0) + u32(6) + b"\x01\x01a\x01\x01a", "not in order"),
        (u32(0) + u32(2) + b"\x00\x00", "not in order"),
        (u32(0) + u32(2) + b"\x04\x00", "unknown parameter 4"),
        (u32(0) + u32(2) + b"\x02\x0a", "no beacon has beacon parameters"),
        (u32(1) + u32(2) + b"\x02\x0a", "lacks its hash"),
        (u32(1) + u32(4) + b"\x02\x0a\x03\x00", "lacks its hash"),
        (u32(1) + u32(3) + b"\x03\x01a", "number of iterations"),
        (u32(1) + u32(5) + b"\x02\x40\x03\x01a", "cannot be computed"),
    ],
)
@pytest.mark.parametrize("kind", ["zkey", "ptau"])
def test_a_contribution_record_that_no_ceremony_writes_is_refused(tmp_path, contents, kind, record, expected):
    number, fixed = (
        (10, 64 + 4 + 3 * 64 + 128 + 64) if kind == "zkey" else (7, 4 + 3 * 64 + 2 * 128 + 6 * 64 + 3 * 128 + 216 + 64)
    )
    whole = {"zkey": samples.zkey(1).mpc.contributions, "ptau": samples.ptau(1).contributions}[kind]
    count_at = 64 if kind == "zkey" else 0
    assert len(whole) > 1
    content = resized(contents[kind], number, lambda s: s[:count_at] + u32(1) + s[count_at + 4 : fixed] + record)
    path = tmp_path / "file"
    path.write_bytes(content)
    assert expected in refusal(kind, path)


@pytest.mark.parametrize(
    "text",
    [
        b"1,1,1\n",
        b"1,1,1,main.a,b\n",
        b"1,-2,1,main.a\n",
        b"one,1,1,main.a\n",
        b"1,1,1,\n",
        b"1,1,1,main.a",
        b"\n",
        b"1,1,1,\xff\n",
        b"9" * 5000 + b",1,1,main.a\n",
        b"1,1,1," + b"a" * 100_000 + b"\n",
    ],
)
def test_a_line_that_is_no_symbol_is_refused_by_its_number(tmp_path, text):
    write_sym(tmp_path / "a.sym", [(1, 1, 1, "main.first")])
    with open(tmp_path / "a.sym", "ab") as stream:
        stream.write(text)
    with pytest.raises(FormatError, match=r"a\.sym: line 2 is not"):
        read_sym(tmp_path / "a.sym")
    with pytest.raises(FormatError, match="No such file"):
        read_sym(tmp_path / "b.sym")


def assert_matrix(matrix: SparseMatrix, rows: int, columns: int) -> None:
    assert matrix.row_ptr.dtype == np.int64
    assert matrix.row_ptr[0] == 0
    assert len(matrix.row_ptr) == rows + 1
    assert np.all(np.diff(matrix.row_ptr) >= 0)
    assert matrix.row_ptr[-1] == len(matrix.col) == len(matrix.value)
    assert all(wire < columns for wire in matrix.col.tolist())
    assert all(value < R for value in from_limbs(matrix.value))


def assert_points(array: np.ndarray, *shape: int) -> None:
    assert array.shape == shape
    assert array.dtype == np.uint64
    assert all(value < Q for value in from_limbs(array.reshape(-1, 4)))


def assert_valid(parsed: object) -> None:
    """Whatever a reader returns holds together, by an independent reading of the rules."""
    if isinstance(parsed, R1CS):
        assert 1 + parsed.n_public <= parsed.n_wires == len(parsed.labels)
        assert all(label < parsed.n_labels for label in parsed.labels.tolist())
        for matrix in (parsed.a, parsed.b, parsed.c):
            assert_matrix(matrix, parsed.n_constraints, parsed.n_wires)
    elif isinstance(parsed, ZKey):
        assert parsed.domain_size == 1 << parsed.power
        assert_matrix(parsed.a, parsed.domain_size, parsed.n_vars)
        assert_matrix(parsed.b, parsed.domain_size, parsed.n_vars)
        assert_points(parsed.ic, parsed.n_public + 1, 8)
        assert_points(parsed.points_a, parsed.n_vars, 8)
        assert_points(parsed.points_b1, parsed.n_vars, 8)
        assert_points(parsed.points_b2, parsed.n_vars, 16)
        assert_points(parsed.points_c, parsed.n_vars - parsed.n_public - 1, 8)
        assert_points(parsed.points_h, parsed.domain_size, 8)
        for step in parsed.mpc.contributions:
            assert_points(step.delta_after, 8)
            assert_points(step.g2_spx, 16)
            assert step.contributor.encode()
    elif isinstance(parsed, PowersOfTau):
        size = 1 << parsed.power
        assert_points(parsed.tau_g1, 2 * size - 1, 8)
        assert_points(parsed.tau_g2, size, 16)
        assert_points(parsed.beta_g2, 16)
        if parsed.lagrange_bases:
            assert_points(parsed.lagrange("tau_g1", parsed.power + 1), 2 * size, 8)
            assert_points(parsed.lagrange("tau_g2", parsed.power), size, 16)
    else:
        assert isinstance(parsed, np.ndarray)
        values = from_limbs(parsed)
        assert values[0] == 1
        assert all(value < R for value in values)


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_truncation_is_refused(tmp_path, contents, kind, data):
    content = contents[kind]
    path = tmp_path / "file"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    refusal(kind, path)


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_flipped_bytes_is_valid_or_refused(tmp_path, contents, kind, data):
    content = bytearray(contents[kind])
    anywhere = st.integers(0, len(content) - 1)
    # The first bytes, where counts and sizes live, deserve more than their share of the damage.
    places = data.draw(st.lists(st.one_of(st.integers(0, 160), anywhere), min_size=1, max_size=4))
    for place in places:
        content[place] = data.draw(st.one_of(st.just(255), st.just(0), st.integers(0, 255)))
    path = tmp_path / "file"
    path.write_bytes(content)
    try:
        parsed = READERS[kind](path)
    except FormatError:
        return
    assert_valid(parsed)


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_sections_that_are_cut_repeated_or_swapped_are_valid_or_refused(tmp_path, contents, kind, data):
    sections = split(contents[kind])
    index = data.draw(st.integers(0, len(sections) - 1))
    number, section = sections[index]
    cut = data.draw(st.integers(0, len(section)))
    change = data.draw(st.sampled_from(["cut", "repeat", "renumber", "swap"]))
    if change == "cut":
        sections[index] = (number, section[:cut])
    elif change == "repeat":
        sections[index] = (number, section + section[cut:])
    elif change == "renumber":
        sections[index] = (data.draw(st.integers(0, 16)), section)
    else:
        other = data.draw(st.integers(0, len(sections) - 1))
        sections[index], sections[other] = (number, sections[other][1]), (sections[other][0], section)
    path = tmp_path / "file"
    path.write_bytes(join(contents[kind], sections))
    try:
        parsed = READERS[kind](path)
    except FormatError:
        return
    assert_valid(parsed)


def test_a_witness_error_never_holds_a_value(tmp_path, contents):
    secret = R + 0x5EC2E7
    path = tmp_path / "file"
    path.write_bytes(edit(contents["wtns"], 2, 64, secret.to_bytes(32, "little")))
    message = refusal("wtns", path)
    assert str(secret) not in message
    assert f"{secret:x}" not in message.lower()


def test_want_of_memory_is_a_clear_error(tmp_path, contents, monkeypatch):
    def exhausted(*_: object) -> None:
        raise MemoryError

    path = tmp_path / "file"
    path.write_bytes(contents["zkey"])
    monkeypatch.setattr("prover.formats.zkey.from_entries", exhausted)
    assert "too large for this machine's memory" in refusal("zkey", path)


def test_reading_files_needs_no_compiler_and_no_queue():
    code = "import sys; import prover.formats.zkey, prover.formats.verification_key, prover.formats.ptau; "
    code += "sys.exit(bool({'numba', 'cupy', 'celery', 'grpc', 'web3'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
