"""Hashing to Curve25519: RFC 9380's own vectors, the laws of its points, and X25519 to other base points than 9.

The second opinion on curves is a Montgomery ladder, written here after RFC 7748; `cryptography` agrees with it.
"""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.address import base_point
from protocol.curve25519 import A, P, clear_cofactor, encode_to_curve, hash_to_field, map_to_curve
from protocol.errors import EncodingError
from protocol.field import R

# The order of the subgroup that X25519 works in (RFC 7748, section 4.1).
ORDER = 2**252 + 0x14DEF9DEA2F79CD65812631A5CF5D3ED
DOMAIN = b"QUUX-V01-CS02-with-curve25519_XMD:SHA-512_ELL2_NU_"
few = settings(max_examples=25, deadline=None)
elements = st.integers(0, P - 1)

# RFC 9380, appendix J.4.2: message, the field element u, the point Q it is mapped to, and the result P = 8Q.
VECTORS = [
    (
        b"",
        0x608D892B641F0328523802A6603427C26E55E6F27E71A91A478148D45B5093CD,
        (
            0x51125222DA5E763D97F3C10FCC92EA6860B9CCBBD2EB1285728F566721C1E65B,
            0x343D2204F812D3DFC5304A5808C6C0D81A903A5D228B342442AA3C9BA5520A3D,
        ),
        (
            0x1BB913F0C9DAEFA0B3375378FFA534BDA5526C97391952A7789EB976EDFE4D08,
            0x4548368F4F983243E747B62A600840AE7C1DAB5C723991F85D3A9768479F3EC4,
        ),
    ),
    (
        b"abc",
        0x46F5B22494BFEAA7F232CC8D054BE68561AF50230234D7D1D63D1D9ABECA8DA5,
        (
            0x7D56D1E08CB0CCB92BAF069C18C49BB5A0DCD927EFF8DCF75CA921EF7F3E6EEB,
            0x404D9A7DC25C9C05C44AB9A94590E7C3FE2DCEC74533A0B24B188A5D5DACF429,
        ),
        (
            0x7C22950B7D900FA866334262FCAEA47A441A578DF43B894B4625C9B450F9A026,
            0x5547BC00E4C09685DCBC6CB6765288B386D8BDCB595FA5A6E3969E08097F0541,
        ),
    ),
    (
        b"abcdef0123456789",
        0x235FE40C443766CE7E18111C33862D66C3B33267EFA50D50F9E8E5D252A40AAA,
        (
            0x3FBE66B9C9883D79E8407150E7C2A1C8680BEE496C62FABE4619A72B3CABE90F,
            0x08EC476147C9A0A3FF312D303DBBD076ABB7551E5FCE82B48AB14B433F8D0A7B,
        ),
        (
            0x31AD08A8B0DEEB2A4D8B0206CA25F567AB4E042746F792F4B7973F3AE2096C52,
            0x405070C28E78B4FA269427C82827261991B9718BD6C6E95D627D701A53C30DB1,
        ),
    ),
    (
        b"q128_" + b"q" * 128,
        0x001E92A544463BDA9BD04DDBE3D6EED248F82DE32F522669EFC5DDCE95F46F5B,
        (
            0x227E0BB89DE700385D19EC40E857DB6E6A3E634B1C32962F370D26F84FF19683,
            0x5F86FF3851D262727326A32C1BF7655A03665830FA7F1B8B1E5A09D85BC66E4A,
        ),
        (
            0x027877759D155B1997D0D84683A313EB78BDB493271D935B622900459D52CEAA,
            0x54D691731A53BAA30707F4A87121D5169FB5D587D70FB0292B5830DEDBEC4C18,
        ),
    ),
    (
        b"a512_" + b"a" * 512,
        0x1A68A1AF9F663592291AF987203393F707305C7BAC9C8D63D6A729BDC553DC19,
        (
            0x3BCD651EE54D5F7B6013898AAB251EE8ECC0688166FCE6E9548D38472F6BD196,
            0x1BB36AD9197299F111B4EF21271C41F4B7ECF5543DB8BB5931307EBDB2EAA465,
        ),
        (
            0x5FD892C0958D1A75F54C3182A18D286EFAB784E774D1E017BA2FB252998B5DC1,
            0x750AF3C66101737423A4519AC792FB93337BD74EE751F19DA4CF1E94F4D6D0B8,
        ),
    ),
]


def ladder(scalar: int, u: int) -> int:
    """The u-coordinate of `scalar` times the point, 0 for the identity: RFC 7748, section 5, without clamping."""
    x2, z2, x3, z3, swapped = 1, 0, u, 1, 0
    for place in reversed(range(255)):
        bit = scalar >> place & 1
        if bit != swapped:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swapped = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a % P, c * b % P, a * a % P, b * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swapped:
        x2, z2 = x3, z3
    return x2 * pow(z2, P - 2, P) % P


def clamped(key: bytes) -> int:
    return int.from_bytes(key, "little") & (2**254 - 8) | 2**254


def x25519(key: bytes, public: bytes) -> bytes:
    """RFC 7748, section 5, by the ladder above."""
    u = int.from_bytes(public, "little") & (2**255 - 1)
    return ladder(clamped(key), u % P).to_bytes(32, "little")


def on_curve(u: int) -> bool:
    return pow(u * (u * (u + A) + 1), (P - 1) // 2, P) in (0, 1)


@pytest.mark.parametrize(("message", "element", "mapped", "result"), VECTORS, ids=["0", "3", "16", "133", "517"])
def test_every_step_is_that_of_the_rfcs_vectors(message, element, mapped, result) -> None:
    for u, v in (mapped, result):
        assert (v * v - u * (u * (u + A) + 1)) % P == 0, "the vector was copied wrong"
    assert hash_to_field(message, DOMAIN) == element
    assert map_to_curve(element) == mapped[0]
    assert clear_cofactor(mapped[0]) == result[0]
    assert encode_to_curve(message, DOMAIN) == result[0]


@given(elements)
@few
def test_every_element_is_mapped_onto_the_curve_and_not_its_twist(element) -> None:
    mapped = map_to_curve(element)
    assert 0 <= mapped < P
    assert on_curve(mapped)
    assert map_to_curve(P - element) == mapped, "the two square roots of a square go to one u-coordinate"


@pytest.mark.parametrize("element", [0, 1, P - 1, pow(2, (P - 1) // 4, P)])
def test_elements_that_are_special_elsewhere_are_not_here(element) -> None:
    assert on_curve(map_to_curve(element))


def test_the_division_of_the_map_has_no_exception() -> None:
    """`1 + 2 t^2 = 0` would need -1/2 to be a square."""
    assert pow(-pow(2, -1, P), (P - 1) // 2, P) == P - 1


@given(elements)
@few
def test_clearing_the_cofactor_is_multiplication_by_eight(u) -> None:
    assert clear_cofactor(u) == ladder(8, u)


@pytest.mark.parametrize(
    "u", [0, 1, P - 1, 325606250916557431795983626356110631294008115727848805560023387167927233504]
)
def test_points_of_small_order_become_the_identity(u) -> None:
    """Orders 2 and 4 (1 on the curve, -1 on the twist), and 8, of https://cr.yp.to/ecdh.html."""
    assert clear_cofactor(u) == 0


@given(st.binary(max_size=200))
@few
def test_results_are_on_the_curve_and_have_prime_order(message) -> None:
    u = encode_to_curve(message, DOMAIN)
    assert u != 0
    assert on_curve(u)
    assert ladder(ORDER, u) == 0


@given(st.binary(max_size=40), st.binary(min_size=1, max_size=255))
@few
def test_another_domain_gives_another_point(message, domain) -> None:
    assert encode_to_curve(message, domain) != encode_to_curve(message, DOMAIN) or domain == DOMAIN


@pytest.mark.parametrize("domain", [b"", bytes(256)])
def test_domains_that_the_rfc_does_not_allow_are_refused(domain) -> None:
    with pytest.raises(EncodingError, match="1 to 255"):
        encode_to_curve(b"", domain)


def test_the_ladder_gives_the_vectors_of_rfc_7748() -> None:
    """Section 5.2: two with base points of their own, and the first step of the one that is iterated."""
    vectors = [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
        ("09" + "00" * 31, "09" + "00" * 31, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"),
    ]
    for key, public, result in vectors:
        assert x25519(bytes.fromhex(key), bytes.fromhex(public)).hex() == result


@given(st.integers(0, R - 1), st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
@few
def test_x25519_of_cryptography_takes_any_base_point_and_commutes(owner, key, other) -> None:
    """What addresses and memos rely on: X25519(e, X25519(v, g)) = X25519(v, X25519(e, g)) for each g."""
    base = base_point(owner)

    def library(private: bytes, public: bytes) -> bytes:
        return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))

    assert library(key, base) == x25519(key, base)
    assert library(other, library(key, base)) == library(key, library(other, base)) == x25519(other, x25519(key, base))


def test_base_points_are_those_of_the_specification() -> None:
    owner = 12345
    domain = b"gelap/v2/address-with-curve25519_XMD:SHA-512_ELL2_NU_"
    assert base_point(owner) == encode_to_curve(owner.to_bytes(32, "big"), domain).to_bytes(32, "little")
    assert base_point(owner) != base_point(owner + 1)
