"""Proofs, public inputs and verification keys as JSON and as bytes."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.field import Q, R
from prover.errors import FormatError
from prover.formats.points import g1_from_mont, g1_to_mont, g2_from_mont, g2_to_mont
from prover.formats.proof import (
    Proof,
    public_from_json,
    public_to_json,
    read_proof,
    read_public,
    write_proof,
    write_public,
)
from prover.formats.verification_key import VerificationKey, read_verification_key, write_verification_key
from prover.limbs import from_limbs
from tests.unit.formats import samples

coordinate = st.integers(1, Q - 1)
g1 = st.tuples(coordinate, coordinate)
g2 = st.tuples(st.tuples(coordinate, coordinate), st.tuples(coordinate, coordinate))
proofs = st.builds(Proof, g1, g2, g1)
keys = st.builds(
    VerificationKey,
    g1,
    g2,
    g2,
    g2,
    st.lists(g1, min_size=1, max_size=4).map(tuple),
    st.none() | st.lists(coordinate, min_size=12, max_size=12).map(tuple),
)


@given(proofs)
def test_a_proof_survives_json_and_bytes(proof):
    assert Proof.from_json(proof.to_json()) == proof
    assert Proof.from_bytes(proof.to_bytes()) == proof


@given(keys)
def test_a_verification_key_survives_json(key):
    back = VerificationKey.from_json(key.to_json())
    assert back == key
    assert back.alpha_beta == key.alpha_beta
    assert back.to_json() == key.to_json()
    assert back.n_public == len(key.ic) - 1


@given(st.lists(st.integers(0, R - 1), max_size=5))
def test_public_inputs_survive_json(values):
    assert public_from_json(public_to_json(values)) == values


@given(g1, g2)
def test_points_survive_montgomery_form(point, twisted):
    assert g1_from_mont(g1_to_mont(point)) == point
    assert g2_from_mont(g2_to_mont(twisted)) == twisted
    assert from_limbs(g1_to_mont(point).reshape(2, 4)) == [value * 2**256 % Q for value in point]


def test_points_at_infinity_are_zero_everywhere():
    zero = Proof((0, 0), ((0, 0), (0, 0)), (0, 0))
    assert zero.to_bytes() == bytes(256)
    assert Proof.from_json(zero.to_json()) == zero
    assert json.loads(zero.to_json())["pi_a"] == ["0", "1", "0"]
    assert json.loads(zero.to_json())["pi_b"] == [["0", "0"], ["1", "0"], ["0", "0"]]
    assert not g1_to_mont((0, 0)).any()


def test_proof_bytes_follow_the_order_of_the_evm():
    """EIP-197: 32-byte big-endian words, the imaginary part of an F_p2 element first."""
    proof = Proof((1, 2), ((3, 4), (5, 6)), (7, 8))
    words = [int.from_bytes(proof.to_bytes()[i : i + 32], "big") for i in range(0, 256, 32)]
    assert words == [1, 2, 4, 3, 6, 5, 7, 8]


def test_key_bytes_follow_the_order_of_the_evm_and_name_the_key():
    key = VerificationKey((1, 2), ((3, 4), (5, 6)), ((7, 8), (9, 10)), ((11, 12), (13, 14)), ((15, 16), (17, 18)))
    words = [int.from_bytes(key.to_bytes()[i : i + 32], "big") for i in range(0, len(key.to_bytes()), 32)]
    assert words == [1, 2, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 15, 16, 17, 18]
    assert key.digest() == hashlib.sha256(key.to_bytes()).digest()


def test_the_key_inside_a_proving_key_is_found():
    zkey = samples.zkey(1)
    key = VerificationKey.from_zkey(zkey)
    assert key.n_public == zkey.n_public
    assert g1_to_mont(key.alpha1).tolist() == zkey.alpha_g1.tolist()
    assert g2_to_mont(key.beta2).tolist() == zkey.beta_g2.tolist()
    assert g2_to_mont(key.gamma2).tolist() == zkey.gamma_g2.tolist()
    assert g2_to_mont(key.delta2).tolist() == zkey.delta_g2.tolist()
    assert [g1_to_mont(point).tolist() for point in key.ic] == zkey.ic.tolist()
    assert "vk_alphabeta_12" not in json.loads(key.to_json())
    with_pairing = VerificationKey.from_zkey(zkey, alpha_beta=range(12))
    assert json.loads(with_pairing.to_json())["vk_alphabeta_12"] == [
        [["0", "1"], ["2", "3"], ["4", "5"]],
        [["6", "7"], ["8", "9"], ["10", "11"]],
    ]
    assert with_pairing == key


def test_files_hold_exactly_the_text(tmp_path):
    proof, key = samples.proof(1), samples.verification_key(1)
    write_proof(tmp_path / "proof.json", proof)
    write_public(tmp_path / "public.json", [0, R - 1])
    write_verification_key(tmp_path / "key.json", key)
    assert (tmp_path / "proof.json").read_text() == proof.to_json()
    assert (tmp_path / "public.json").read_text() == f'[\n "0",\n "{R - 1}"\n]'
    assert read_proof(tmp_path / "proof.json") == proof
    assert read_public(tmp_path / "public.json") == [0, R - 1]
    assert read_verification_key(tmp_path / "key.json") == key


NOT_NUMBERS = [
    7,
    7.0,
    True,
    None,
    [],
    {},
    "",
    "-1",
    "+1",
    " 1",
    "1 ",
    "1\n",
    "01",
    "0x1",
    "1e3",
    "1_0",
    "١",
    "NaN",
    str(Q),
    str(2**256),
    "1" * 79,
    "9" * 5000,
]

Change = Callable[[dict[str, Any]], object]


def set_at(*path: Any) -> Callable[[Any], Change]:
    def with_value(value: Any) -> Change:
        def change(document: dict[str, Any]) -> None:
            place: Any = document
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = value

        return change

    return with_value


BAD_PROOFS: list[Change] = [
    *(set_at("pi_a", 0)(value) for value in NOT_NUMBERS),
    *(set_at("pi_b", 1, 1)(value) for value in NOT_NUMBERS),
    *(set_at("pi_c")(value) for value in (None, {}, "1", [], ["1", "2"], ["1", "2", "3", "4"])),
    *(set_at("pi_b")(value) for value in (None, [], [["1", "2"]] * 2, ["1", "2", "3"], [["1"]] * 3)),
    set_at("pi_a", 2)("2"),
    set_at("pi_b", 2)(["2", "0"]),
    set_at("pi_b", 2)(["1", "1"]),
    set_at("protocol")("plonk"),
    set_at("protocol")(1),
    set_at("curve")("bls12381"),
    set_at("curve")(None),
    lambda document: document.pop("pi_a"),
    lambda document: document.pop("pi_b"),
    lambda document: document.pop("protocol"),
]

BAD_KEYS: list[Change] = [
    *(set_at("IC", 1, 1)(value) for value in NOT_NUMBERS),
    *(set_at("nPublic")(value) for value in (None, "2", 1, 3, -1, 2.0, True, 10**30)),
    *(set_at("vk_alphabeta_12")(value) for value in (1, [], [[["1", "2"]] * 3] * 3, [[["1", str(Q)]] * 3] * 2)),
    set_at("IC")({}),
    set_at("IC", 0)(["1", "2"]),
    set_at("protocol")("fflonk"),
    set_at("curve")("BLS12-381"),
    *((lambda document, name=name: document.pop(name)) for name in ("vk_alpha_1", "vk_beta_2", "vk_gamma_2", "IC")),
]


def refusal(parse: Callable[[str], object], text: str) -> str:
    with pytest.raises(FormatError) as caught:
        parse(text)
    return str(caught.value)


@pytest.mark.parametrize("change", BAD_PROOFS)
def test_a_proof_with_one_wrong_thing_is_refused(change):
    document = json.loads(samples.proof(1).to_json())
    change(document)
    assert len(refusal(Proof.from_json, json.dumps(document))) < 200


@pytest.mark.parametrize("change", BAD_KEYS)
def test_a_verification_key_with_one_wrong_thing_is_refused(change):
    document = json.loads(samples.verification_key(1).to_json())
    change(document)
    assert len(refusal(VerificationKey.from_json, json.dumps(document))) < 200


@pytest.mark.parametrize("value", [*NOT_NUMBERS, str(R)])
def test_a_public_input_that_is_no_canonical_number_is_refused(value):
    assert "public input 1" in refusal(public_from_json, json.dumps(["1", value]))


@pytest.mark.parametrize("parse", [Proof.from_json, VerificationKey.from_json, public_from_json])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "7",
        '"1"',
        "NaN",
        "[NaN]",
        '["1", Infinity]',
        "{",
        "[" * 100_000,
        '{"a":' * 100_000,
        "9" * 10_000,
        "[" + "9" * 10_000 + "]",
        '{"protocol": "groth16", "protocol": "groth16"}',
        '["1"] trailing',
        "\ufeff[]x",
        '{"pi_a": "\\ud800"}',
    ],
)
def test_what_is_not_the_expected_json_is_refused(parse, text):
    assert "\n" not in refusal(parse, text)


@given(st.binary(max_size=300))
def test_random_bytes_are_never_a_proof_and_never_a_crash(content):
    with pytest.raises(FormatError):
        Proof.from_json(content)
    with pytest.raises(FormatError):
        Proof.from_bytes(content[:255])


@settings(deadline=None)
@given(st.integers(0, 10_000), st.text(max_size=2))
def test_a_key_with_edited_text_is_valid_or_refused(place, inserted):
    text = samples.verification_key(1).to_json()
    place %= len(text)
    try:
        key = VerificationKey.from_json(text[:place] + inserted + text[place + 1 :])
    except FormatError:
        return
    assert all(0 <= value < Q for point in key.ic for value in point)


@pytest.mark.parametrize("word", range(8))
def test_proof_bytes_with_a_coordinate_outside_the_field_are_refused(word):
    """Attack 13: the same point must not have a second encoding, x and x + q."""
    data = bytearray(samples.proof(1).to_bytes())
    at = slice(32 * word, 32 * word + 32)
    data[at] = (int.from_bytes(data[at], "big") + Q).to_bytes(32, "big")
    with pytest.raises(FormatError, match="outside the field"):
        Proof.from_bytes(bytes(data))


@pytest.mark.parametrize("word", range(8))
def test_the_modulus_itself_is_no_coordinate(word):
    data = bytearray(256)
    data[32 * word : 32 * word + 32] = Q.to_bytes(32, "big")
    with pytest.raises(FormatError, match="outside the field"):
        Proof.from_bytes(bytes(data))


@pytest.mark.parametrize("size", [0, 64, 255, 257, 288])
def test_proof_bytes_of_another_length_are_refused(size):
    with pytest.raises(FormatError, match="256 bytes"):
        Proof.from_bytes(bytes(size))


@pytest.mark.parametrize("read", [read_proof, read_public, read_verification_key])
def test_a_bad_file_is_named(tmp_path, read):
    path = tmp_path / "some.json"
    for content in (b"{", b"\xff\xfe", b"[" * 50_000, b'{"protocol": "groth16"}'):
        path.write_bytes(content)
        with pytest.raises(FormatError, match=r"some\.json"):
            read(path)
    for wrong in (tmp_path, tmp_path / "absent.json", "zero\0byte"):
        with pytest.raises(FormatError, match="check the path"):
            read(wrong)


def test_a_proof_file_of_a_gigabyte_is_not_read(tmp_path):
    path = tmp_path / "proof.json"
    with open(path, "wb") as stream:
        stream.truncate(1 << 30)
    with pytest.raises(FormatError, match="larger than"):
        read_proof(path)


def test_other_names_of_the_curve_and_none_are_understood():
    text = samples.proof(1).to_json()
    for name in ("bn254", "BN254", "alt_bn128", "bn-128"):
        assert Proof.from_json(text.replace("bn128", name)) == samples.proof(1)
    document = json.loads(text)
    del document["curve"]
    assert Proof.from_json(json.dumps(document)) == samples.proof(1)


def test_a_key_whose_pairing_is_not_twelve_numbers_is_not_written():
    with pytest.raises(FormatError, match="12 numbers"):
        replace(samples.verification_key(1), alpha_beta=(1, 2, 3)).to_json()
