"""Addresses: text and back, BIP-350's vectors, and every way a pasted text can be wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import bech32m
from protocol.address import Address
from protocol.errors import AddressError, EncodingError
from protocol.field import R

addresses = st.builds(Address, st.integers(0, R - 1), st.binary(min_size=32, max_size=32))
ADDRESS = Address(123456789, bytes(range(32)))
TEXT = ADDRESS.encode()


@given(addresses)
@settings(max_examples=50, deadline=None)
def test_an_address_survives_its_text(address):
    text = address.encode()
    assert len(text) == 116
    assert text.startswith("gelap1")
    assert str(address) == text
    assert Address.decode(text) == Address.decode(text.upper()) == address


@given(st.integers(0, len(TEXT) - 1), st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"))
@settings(max_examples=60, deadline=None)
def test_one_wrong_character_is_noticed(position, character):
    changed = TEXT[:position] + character + TEXT[position + 1 :]
    if changed != TEXT:
        with pytest.raises(AddressError):
            Address.decode(changed)


@given(st.integers(6, len(TEXT) - 2))
@settings(max_examples=30, deadline=None)
def test_two_swapped_characters_are_noticed(position):
    swapped = TEXT[:position] + TEXT[position + 1] + TEXT[position] + TEXT[position + 2 :]
    if swapped != TEXT:
        with pytest.raises(AddressError):
            Address.decode(swapped)


@given(st.text(max_size=130))
@settings(max_examples=100, deadline=None)
def test_any_other_text_is_refused_with_an_address_error(text):
    with pytest.raises(AddressError):
        Address.decode(text)


def address_text(payload, prefix="gelap"):
    return bech32m.encode(prefix, payload)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "prefix"),
        (TEXT[:-1], "checksum"),
        (TEXT + "q", "longer"),
        ("G" + TEXT[1:], "upper and lower"),
        (TEXT.replace("gelap1", "gelab1"), "checksum"),
        (TEXT[:-1] + "\u212a", "never used"),
        (TEXT[:-1] + "b", "never used"),
        (" " + TEXT[1:], "no prefix"),
        (address_text(bytes([2]) + bytes(64), "gelaq"), "start with gelap1"),
        (address_text(bytes([1]) + bytes(64)), "older program; ask for a new one"),
        # Recorded from a program that wrote version 1.
        (
            "gelap1qysq0rpx0y6zmn70mmvycejd2zpygxnc0mpptfaavcvmgxlmhn84cy457prlza00tvqhfp74gjan0pqe8tzdz03h2ff3rvy6y6xztjq"
            "7380qcp",
            "older program; ask for a new one",
        ),
        (address_text(bytes([3]) + bytes(64)), "does not know; update the program"),
        (address_text(b""), "version"),
        (address_text(bytes([2]) + bytes(63)), "length"),
        (address_text(bytes([2]) + R.to_bytes(32, "big") + bytes(32)), "field element"),
        ("0x52908400098527886E0F7030069857D2E4169EE7", "not a Gelap address"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(text, reason):
    with pytest.raises(AddressError, match=reason):
        Address.decode(text)


@pytest.mark.parametrize(("owner", "key"), [(R, bytes(32)), (-1, bytes(32)), (0, bytes(31)), (0, bytes(33))])
def test_an_address_of_impossible_parts_is_refused(owner, key):
    with pytest.raises(AddressError):
        Address(owner, key)


@pytest.mark.parametrize(
    ("text", "prefix", "data"),
    [
        ("A1LQFN3A", "a", b""),
        ("a1lqfn3a", "a", b""),
        (
            "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
            "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber1",
            b"",
        ),
        (
            "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
            "abcdef",
            bytes.fromhex("ffbbcdeb38bdab49ca307b9ac5a928398a418820"),
        ),
        (
            "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
            "split",
            bytes.fromhex("c5f38b70305f519bf66d85fb6cf03058f3dde463ecd7918f2dc743918f2d"),
        ),
        ("?1v759aa", "?", b""),
    ],
)
def test_valid_vectors_of_bip_350(text, prefix, data):
    """BIP-350, "Test vectors for Bech32m", those whose data are whole bytes."""
    assert bech32m.decode(text) == (prefix, data)
    assert bech32m.encode(prefix, data) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "\x201xj0phk",
        "\x7f1g6xzxy",
        "\x801vctc34",
        "qyrz8wqd2c9m",
        "1qyrz8wqd2c9m",
        "y1b0jsk6g",
        "lt1igcx5c0",
        "in1muywd",
        "mm1crxm3i",
        "au1s5cgom",
        "M1VUXWEZ",
        "16plkw9",
        "1p2gdwpf",
        # Bech32 (BIP-173) instead of Bech32m.
        "A12UEL5L",
        # Valid Bech32m whose last group has padding bits that are not zero.
        "11llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllludsr8",
    ],
)
def test_invalid_vectors_of_bip_350(text):
    with pytest.raises(EncodingError):
        bech32m.decode(text)


def test_text_beyond_116_characters_is_not_written():
    with pytest.raises(EncodingError, match="116"):
        bech32m.encode("gelap", bytes(66))
