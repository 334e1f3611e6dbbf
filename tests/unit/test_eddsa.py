"""Signatures: honest ones verify here and by circomlibjs's equation, and nothing else verifies."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.babyjubjub import BASE8, COFACTOR, IDENTITY, SUBGROUP_ORDER, Point, add, multiply
from protocol.derivation import derive_below
from protocol.eddsa import Signature, public_key, sign, verify
from protocol.errors import EncodingError, KeyDerivationError
from protocol.field import R
from protocol.poseidon import poseidon

secrets_ = st.integers(1, SUBGROUP_ORDER - 1)
messages = st.integers(0, R - 1)
few = settings(max_examples=8, deadline=None)

SECRET = 0x1234_5678_9ABC_DEF0
PUBLIC = public_key(SECRET)
MESSAGE = 42
SIGNATURE = sign(SECRET, MESSAGE, bytes(32))
ORDER_TWO = Point(0, R - 1)


@given(secrets_, messages)
@few
def test_a_signature_verifies_and_satisfies_the_equation_of_the_specification(secret, message):
    public = public_key(secret)
    r8, s = sign(secret, message)
    challenge = poseidon([r8.x, r8.y, public.x, public.y, message])
    assert multiply(BASE8, s) == add(r8, multiply(multiply(public, COFACTOR), challenge))
    assert verify(public, message, Signature(r8, s))


@given(secrets_, messages, messages)
@few
def test_a_signature_is_good_for_its_message_and_key_only(secret, message, other):
    signature = sign(secret, message)
    assert verify(public_key(secret), other, signature) == (other == message)
    assert not verify(add(public_key(secret), BASE8), message, signature)


def test_signatures_of_circomlibjs_verify():
    """iden3/circomlibjs, test/eddsa.js, commit 0872b77: "Sign (using Poseidon) a single 10 bytes from 0 to 9"."""
    public = Point(
        13277427435165878497778222415993513565335242147425444199013288855685581939618,
        13622229784656158136036771217484571176836296686641868549125388198837476602820,
    )
    signature = Signature(
        Point(
            11384336176656855268977457483345535180380036354188103142384839473266348197733,
            15383486972088797283337779941324724402501462225528836549661220478783371668959,
        ),
        1672775540645840396591609181675628451599263765380031905495115170613215233181,
    )
    message = int.from_bytes(bytes.fromhex("000102030405060708090000"), "little")
    assert verify(public, message, signature)


def test_the_nonce_comes_from_the_key_the_message_and_the_entropy():
    assert sign(SECRET, MESSAGE, bytes(32)) == SIGNATURE
    assert sign(SECRET, MESSAGE + 1, bytes(32)).r8 != SIGNATURE.r8
    assert sign(SECRET + 1, MESSAGE, bytes(32)).r8 != SIGNATURE.r8
    assert sign(SECRET, MESSAGE, bytes(31) + b"\1").r8 != SIGNATURE.r8
    assert sign(SECRET, MESSAGE).r8 != sign(SECRET, MESSAGE).r8
    info = MESSAGE.to_bytes(32, "big") + bytes(32)
    assert SIGNATURE.r8 == multiply(BASE8, derive_below(SECRET.to_bytes(32, "big"), info, SUBGROUP_ORDER))


@pytest.mark.parametrize(
    "signature",
    [
        SIGNATURE._replace(s=SIGNATURE.s + SUBGROUP_ORDER),
        SIGNATURE._replace(s=-1),
        SIGNATURE._replace(s=(SIGNATURE.s + 1) % SUBGROUP_ORDER),
        SIGNATURE._replace(r8=Point(SIGNATURE.r8.x + R, SIGNATURE.r8.y)),
        SIGNATURE._replace(r8=Point(1, 1)),
        SIGNATURE._replace(r8=add(SIGNATURE.r8, ORDER_TWO)),
    ],
)
def test_a_malleated_signature_is_refused(signature):
    assert not verify(PUBLIC, MESSAGE, signature)


def test_a_message_alias_is_refused():
    assert not verify(PUBLIC, MESSAGE + R, SIGNATURE)


@pytest.mark.parametrize("public", [IDENTITY, ORDER_TWO])
def test_a_public_key_of_small_order_is_refused(public):
    """With 8A the identity, S*B8 = R8 would sign every message: anyone could spend."""
    forged = Signature(multiply(BASE8, 7), 7)
    assert not verify(public, MESSAGE, forged)


def test_a_public_key_off_the_curve_is_refused():
    assert not verify(Point(1, 1), MESSAGE, SIGNATURE)


@pytest.mark.parametrize("secret", [0, -1, SUBGROUP_ORDER])
def test_a_secret_out_of_range_is_refused(secret):
    with pytest.raises(KeyDerivationError):
        sign(secret, MESSAGE)


def test_a_bad_message_or_entropy_is_refused():
    with pytest.raises(EncodingError):
        sign(SECRET, R, bytes(32))
    with pytest.raises(EncodingError, match="32 bytes"):
        sign(SECRET, MESSAGE, bytes(31))


def test_a_zero_nonce_is_refused(monkeypatch):
    """S would then reveal 8hs, and with it the key."""
    monkeypatch.setattr("protocol.eddsa.derive_below", lambda *_: 0)
    with pytest.raises(EncodingError, match="sign again"):
        sign(SECRET, MESSAGE, bytes(32))
