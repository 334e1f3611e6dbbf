"""Inputs sealed to a cluster key: only that key opens them, and only for their statement and caller."""

import pickle

import pytest
from Crypto.Protocol import DH, HPKE
from Crypto.PublicKey import ECC
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import SealingError
from protocol.sealing import ClusterPrivateKey, SealedInputs, fingerprint, seal, tenant_of

KEY = ClusterPrivateKey.generate()
STATEMENT = bytes(range(32))
TENANT = tenant_of("a caller's API key")


@given(st.binary(max_size=300))
@settings(max_examples=25, deadline=None)
def test_what_is_sealed_opens_to_the_same_bytes(inputs):
    sealed = seal(KEY.public_key, inputs, STATEMENT, TENANT)
    assert len(sealed.ciphertext) == len(inputs) + 16
    assert KEY.open(sealed, STATEMENT, TENANT) == inputs


def test_sealing_twice_gives_unrelated_bytes():
    first, second = (seal(KEY.public_key, b"inputs", STATEMENT, TENANT) for _ in range(2))
    assert first.encapsulated_key != second.encapsulated_key
    assert first.ciphertext != second.ciphertext


def test_the_published_vector_of_rfc_9180_opens():
    """RFC 9180, appendix A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base mode, sequence 0."""
    secret = bytes.fromhex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb")
    key = ClusterPrivateKey(X25519PrivateKey.from_private_bytes(secret))
    assert key.public_key.hex() == "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a"
    sealed = SealedInputs(
        bytes.fromhex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"),
        bytes.fromhex("1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"),
    )
    opened = key._open(sealed, b"Ode on a Grecian Urn", b"Count-0")
    assert opened == b"Beauty is truth, truth beauty"


INFO = b"gelap/v1/inputs"


@given(st.binary(max_size=300))
@settings(max_examples=10, deadline=None)
def test_another_implementation_of_hpke_opens_what_is_sealed_here(inputs):
    sealed = seal(KEY.public_key, inputs, STATEMENT, TENANT)
    receiver = ECC.import_key(KEY.to_pem())
    context = HPKE.new(
        receiver_key=receiver, aead_id=HPKE.AEAD.CHACHA20_POLY1305, enc=sealed.encapsulated_key, info=INFO
    )
    assert context.unseal(sealed.ciphertext, STATEMENT + TENANT.encode()) == inputs


@given(st.binary(max_size=300))
@settings(max_examples=10, deadline=None)
def test_what_another_implementation_of_hpke_seals_opens_here(inputs):
    receiver = DH.import_x25519_public_key(KEY.public_key)
    context = HPKE.new(receiver_key=receiver, aead_id=HPKE.AEAD.CHACHA20_POLY1305, info=INFO)
    sealed = SealedInputs(context.enc, context.seal(inputs, STATEMENT + TENANT.encode()))
    assert KEY.open(sealed, STATEMENT, TENANT) == inputs


@pytest.mark.parametrize(
    ("statement", "tenant"),
    [(bytes(32), TENANT), (STATEMENT, tenant_of("another API key"))],
    ids=["another statement", "another tenant"],
)
def test_sealed_inputs_do_not_open_for(statement, tenant):
    sealed = seal(KEY.public_key, b"inputs", STATEMENT, TENANT)
    with pytest.raises(SealingError, match="do not open"):
        KEY.open(sealed, statement, tenant)


def test_another_key_does_not_open_them():
    sealed = seal(KEY.public_key, b"inputs", STATEMENT, TENANT)
    with pytest.raises(SealingError, match="do not open"):
        ClusterPrivateKey.generate().open(sealed, STATEMENT, TENANT)


@given(st.integers(0, 32 + 6 + 16 - 1), st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_no_altered_bit_goes_unnoticed(place, bit):
    sealed = seal(KEY.public_key, b"inputs", STATEMENT, TENANT)
    altered = bytearray(sealed.encapsulated_key + sealed.ciphertext)
    altered[place] ^= 1 << bit
    with pytest.raises(SealingError):
        KEY.open(SealedInputs(bytes(altered[:32]), bytes(altered[32:])), STATEMENT, TENANT)


def test_the_bit_of_a_key_that_x25519_ignores_is_bound_all_the_same():
    """RFC 7748 masks the top bit of a public key; the transcript of HPKE holds it."""
    sealed = seal(KEY.public_key, b"inputs", STATEMENT, TENANT)
    altered = bytearray(sealed.encapsulated_key)
    altered[31] ^= 0x80
    with pytest.raises(SealingError):
        KEY.open(SealedInputs(bytes(altered), sealed.ciphertext), STATEMENT, TENANT)


@pytest.mark.parametrize(
    "public_key",
    [
        bytes(32),
        (1).to_bytes(32, "little"),
        # A point of order 8 (RFC 7748, section 6.1 warns of the all-zero secret it leads to).
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        KEY.public_key[:31],
        b"",
    ],
)
def test_a_public_key_of_small_order_or_wrong_length_is_refused(public_key):
    with pytest.raises(SealingError, match="cluster key"):
        seal(public_key, b"inputs", STATEMENT, TENANT)


def test_an_encapsulated_key_of_small_order_is_refused():
    sealed = seal(KEY.public_key, b"inputs", STATEMENT, TENANT)
    with pytest.raises(SealingError):
        KEY.open(SealedInputs(bytes(32), sealed.ciphertext), STATEMENT, TENANT)


def test_a_key_survives_its_pem_file():
    again = ClusterPrivateKey.from_pem(KEY.to_pem())
    assert again.public_key == KEY.public_key
    assert again.open(seal(KEY.public_key, b"inputs", STATEMENT, TENANT), STATEMENT, TENANT) == b"inputs"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no key",
        ECC.generate(curve="Ed25519").export_key(format="PEM"),
        ECC.generate(curve="Curve25519").public_key().export_key(format="PEM"),
        ECC.generate(curve="Curve25519").export_key(format="PEM", passphrase="x", protection="scryptAndAES128-CBC"),
    ],
    ids=["nothing", "text", "another curve", "a public key", "a key under a passphrase"],
)
def test_a_file_that_is_no_x25519_private_key_is_refused(text):
    with pytest.raises(SealingError, match="X25519 private key"):
        ClusterPrivateKey.from_pem(text)


def test_the_private_key_does_not_show():
    assert repr(KEY) == f"ClusterPrivateKey(fingerprint={fingerprint(KEY.public_key).hex()})"
    with pytest.raises(TypeError):
        pickle.dumps(KEY)


def test_a_statement_or_tenant_of_the_wrong_length_is_refused():
    with pytest.raises(SealingError, match="32 bytes"):
        seal(KEY.public_key, b"inputs", b"short", TENANT)
    with pytest.raises(SealingError, match="32 hexadecimal"):
        seal(KEY.public_key, b"inputs", STATEMENT, "short")


def test_a_tenant_reveals_no_api_key_and_differs_between_keys():
    assert tenant_of("a caller's API key") == TENANT
    assert tenant_of("a caller's API key ") != TENANT
    assert len(TENANT) == 32
    assert int(TENANT, 16) >= 0
