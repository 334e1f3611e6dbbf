"""EdDSA over BabyJubJub: `S*B8 = R8 + 8h*A` with `h = H5(R8.x, R8.y, A.x, A.y, M)`, as `protocol.eddsa.verify` has it.

What each condition is for:
- A and R8 on the curve: the addition law means nothing elsewhere, and off the curve forgeries are easy.
- 8A is not the identity: a key of small order would accept signatures that anybody can make.
- S < l, in the one form its bits have: else S + l is a second signature for the same message.
- h as the one integer below r: else the prover could choose between h and h + r, which differ modulo l.
- no cofactor on R8: `S*B8 - 8h*A` lies in the subgroup of order l, so R8 does too, and adding a point of small order to
  R8 gives no second signature.
"""

from protocol.babyjubjub import SUBGROUP_ORDER
from protocol.field import R
from prover.circuit.builder import Builder
from prover.circuit.gadgets import edwards
from prover.circuit.gadgets.bits import assert_nonzero, to_bits_below
from prover.circuit.gadgets.edwards import EdwardsPoint
from prover.circuit.gadgets.hashing import Hash
from prover.circuit.gadgets.scalar_mul import multiply_base, multiply_point
from prover.circuit.linear import Operand


def assert_signature(
    builder: Builder, hash_function: Hash, public: EdwardsPoint, message: Operand, r8: EdwardsPoint, s: Operand
) -> None:
    """Demand a valid signature of `message` under the key `public`. Nothing is assumed of any argument."""
    with builder.scope("the points are on the curve"):
        edwards.assert_on_curve(builder, public)
        edwards.assert_on_curve(builder, r8)
    with builder.scope("8A is not the identity"):
        multiple = public
        for _ in range(3):
            multiple = edwards.double(builder, multiple)
        # 8A has an order that divides l; of such points only the identity has x = 0.
        assert_nonzero(builder, multiple.x)
    with builder.scope("S < l"):
        s_bits = to_bits_below(builder, s, SUBGROUP_ORDER)
    with builder.scope("challenge"):
        challenge = hash_function(builder, [*r8, *public, message])
        challenge_bits = to_bits_below(builder, challenge, R)
    with builder.scope("S*B8"):
        left = multiply_base(builder, s_bits)
    with builder.scope("8h*A"):
        product = multiply_point(builder, challenge_bits, multiple)
    with builder.scope("S*B8 = R8 + 8h*A"):
        edwards.add(builder, r8, product, left)
