"""EdDSA inside circuits: accepts what the reference accepts, and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import eddsa
from protocol.babyjubjub import BASE8, COFACTOR, SUBGROUP_ORDER, Point, add, multiply
from protocol.eddsa import Signature
from protocol.field import R
from protocol.poseidon import poseidon as reference_hash
from prover.circuit.builder import Builder
from prover.circuit.compile import Circuit, compile_circuit
from prover.circuit.gadgets.eddsa import assert_signature
from prover.circuit.gadgets.edwards import EdwardsPoint
from prover.circuit.gadgets.poseidon import poseidon
from prover.circuit.gadgets.scalar_mul import class_point
from prover.errors import InputError, UnsatisfiedError
from prover.witness import cpu
from tests.unit.circuit.forging import broken_place, changeable_wires, forged_witness, undetermined_wires, variable

quick = settings(deadline=None, max_examples=10)
secrets = st.integers(1, SUBGROUP_ORDER - 1)
messages = st.integers(0, R - 1)


def signature_circuit() -> Circuit:
    builder = Builder("signature")
    message = builder.public_input("message")
    public, r8 = (EdwardsPoint(*builder.private_inputs(name, 2)) for name in ("a", "r8"))
    assert_signature(builder, poseidon, public, message, r8, builder.private_input("s"))
    return compile_circuit(builder)


CIRCUIT = signature_circuit()


def inputs_of(public: Point, message: int, signature: Signature) -> dict:
    return {"a": list(public), "message": message, "r8": list(signature.r8), "s": signature.s}


def refused(public: Point, message: int, signature: Signature) -> str:
    """Check that reference and circuit both refuse, and say where the circuit does."""
    assert not eddsa.verify(public, message, signature)
    with pytest.raises(UnsatisfiedError) as caught:
        cpu.solve(CIRCUIT, inputs_of(public, message, signature))
    return str(caught.value).rpartition("at: ")[2]


@quick
@given(secrets, messages)
def test_a_signature_satisfies_the_circuit(secret: int, message: int) -> None:
    public, signature = eddsa.public_key(secret), eddsa.sign(secret, message, bytes(32))
    assert eddsa.verify(public, message, signature)
    witness = cpu.solve(CIRCUIT, inputs_of(public, message, signature))[0]
    assert changeable_wires(CIRCUIT, witness) == []


def test_no_wire_of_a_verification_is_free() -> None:
    """Attack 15."""
    witness = cpu.solve(CIRCUIT, inputs_of(eddsa.public_key(5), 7, eddsa.sign(5, 7, bytes(32))))[0]
    assert undetermined_wires(CIRCUIT, witness) == []


@quick
@given(secrets, messages, messages)
def test_a_signature_of_another_message_or_key_is_refused(secret: int, message: int, other: int) -> None:
    signature = eddsa.sign(secret, message, bytes(32))
    public = eddsa.public_key(secret)
    if other != message:
        assert refused(public, other, signature) == "S*B8 = R8 + 8h*A"
    assert refused(eddsa.public_key(secret % (SUBGROUP_ORDER - 1) + 1), message, signature) == "S*B8 = R8 + 8h*A"


@quick
@given(secrets, messages, st.integers(1, 7))
def test_s_plus_a_multiple_of_the_order_is_refused(secret: int, message: int, multiple: int) -> None:
    """EdDSA's malleability: S + l satisfies the equation, and would be a second signature."""
    public, (r8, s) = eddsa.public_key(secret), eddsa.sign(secret, message, bytes(32))
    assert refused(public, message, Signature(r8, s + multiple * SUBGROUP_ORDER)) == "S < l"
    with pytest.raises(InputError):
        cpu.solve(CIRCUIT, inputs_of(public, message, Signature(r8, s + R)))


@pytest.mark.parametrize("number", range(8))
def test_keys_of_small_order_are_refused(number: int) -> None:
    """With 8A the identity, `S*B8 = R8` holds for any S and anybody could sign."""
    assert refused(class_point(number), 42, Signature(multiply(BASE8, 99), 99)) == "8A is not the identity"


@quick
@given(secrets, messages, st.integers(1, 7))
def test_a_key_with_a_part_of_small_order_works_by_its_other_part(secret: int, message: int, number: int) -> None:
    """8A is what counts, in the reference and in the circuit alike."""
    public = add(eddsa.public_key(secret), class_point(number))
    nonce = 77
    r8 = multiply(BASE8, nonce)
    challenge = reference_hash([*r8, *public, message])
    signature = Signature(r8, (nonce + COFACTOR * challenge * secret) % SUBGROUP_ORDER)
    assert eddsa.verify(public, message, signature)
    cpu.solve(CIRCUIT, inputs_of(public, message, signature))


@quick
@given(secrets, messages, st.integers(1, 7))
def test_r8_with_a_part_of_small_order_is_refused(secret: int, message: int, number: int) -> None:
    """The signer itself makes R8' = R8 + E and signs for it: without the cofactor on R8 this must fail."""
    public, nonce = eddsa.public_key(secret), 77
    r8 = add(multiply(BASE8, nonce), class_point(number))
    challenge = reference_hash([*r8, *public, message])
    signature = Signature(r8, (nonce + COFACTOR * challenge * secret) % SUBGROUP_ORDER)
    assert refused(public, message, signature) == "S*B8 = R8 + 8h*A"


@quick
@given(secrets, messages, st.integers(1, R - 1))
def test_points_off_the_curve_are_refused(secret: int, message: int, shift: int) -> None:
    public, (r8, s) = eddsa.public_key(secret), eddsa.sign(secret, message, bytes(32))
    moved = [Point((r8.x + shift) % R, r8.y), Point(r8.x, 0), Point(0, 0)]
    for point in moved:
        if point != Point(-r8.x % R, r8.y):
            assert refused(public, message, Signature(point, s)) == "the points are on the curve"
    assert refused(Point(public.x, 0), message, Signature(r8, s)) == "the points are on the curve"


def test_the_bits_of_the_challenge_cannot_be_those_of_its_alias() -> None:
    """A prover who could take h + r for h would have a second equation to satisfy; h + r fits only for small h.

    A stand-in hash makes the challenge small: it is the message itself.
    """
    secret, message = 5, 7

    def message_as_hash(builder, inputs, output=None):
        return inputs[-1]

    builder = Builder("small challenge")
    public, r8 = (EdwardsPoint(*builder.private_inputs(name, 2)) for name in ("a", "r8"))
    s, challenge = builder.private_input("s"), builder.private_input("message")
    assert_signature(builder, message_as_hash, public, challenge, r8, s)
    circuit = compile_circuit(builder)
    scope = circuit.scopes.index("challenge")
    first_bit = circuit.variable_scope.tolist().index(scope)
    nonce = multiply(BASE8, 77)
    for h, honest in ((message, True), (message + R, False)):
        signature = Signature(nonce, (77 + COFACTOR * h * secret) % SUBGROUP_ORDER)
        bits = {first_bit + i: h >> i & 1 for i in range(254)}
        witness = forged_witness(circuit, inputs_of(eddsa.public_key(secret), message, signature), bits)
        assert broken_place(circuit, witness) == (None if honest else "challenge")
    assert variable(challenge) < first_bit
