"""Field elements travel as 32 canonical big-endian bytes, and derived ones as HKDF gives them."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.derivation import derive, derive_below, u32
from protocol.errors import EncodingError
from protocol.field import Q, R, from_bytes32, to_bytes32


@given(st.sampled_from([R, Q]), st.integers(0, 2**256 - 1))
def test_exactly_the_canonical_encodings_are_read(modulus, value):
    """Attack 2."""
    data = value.to_bytes(32, "big")
    if value < modulus:
        assert from_bytes32(data, modulus) == value
        assert to_bytes32(value, modulus) == data
    else:
        with pytest.raises(EncodingError):
            from_bytes32(data, modulus)
        with pytest.raises(EncodingError):
            to_bytes32(value, modulus)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_another_length_is_refused(length):
    with pytest.raises(EncodingError, match="32 bytes"):
        from_bytes32(bytes(length))


def test_a_negative_number_is_no_field_element():
    with pytest.raises(EncodingError):
        to_bytes32(-1)


@given(st.binary(max_size=80), st.binary(max_size=120), st.integers(1, 64))
@settings(max_examples=30, deadline=None)
def test_derivation_is_hkdf_sha512_with_the_protocols_salt(key, info, length):
    """Against the implementation in `cryptography`."""
    assert derive(key, info, length) == HKDF(hashes.SHA512(), length, b"gelap/v1", info).derive(key)


def test_numbers_are_derived_from_64_bytes_big_endian():
    assert derive_below(b"key", b"info", R) == int.from_bytes(derive(b"key", b"info", 64), "big") % R


@pytest.mark.parametrize("length", [0, 65])
def test_a_length_beyond_one_block_is_refused(length):
    with pytest.raises(EncodingError):
        derive(b"key", b"info", length)


def test_indices_take_four_bytes():
    assert u32(0x01020304) == b"\1\2\3\4"
    for index in (-1, 2**32):
        with pytest.raises(EncodingError):
            u32(index)
