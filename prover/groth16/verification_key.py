"""The verification key of a proving key, complete with the pairing that snarkjs's JSON form carries."""

from prover.formats.verification_key import VerificationKey
from prover.formats.zkey import ZKey
from prover.kernels.cpu.pairing import X, pairing
from prover.kernels.cpu.vector import fq_from_mont
from prover.limbs import from_limbs
from prover.msm.fixed_base import scale_points_g1

# snarkjs's final exponentiation is that of Fuentes-Castaneda, Knapp, Rodriguez-Henriquez, "Faster hashing to G2", 2011,
# section 6: this power of the pairing as it is usually defined. A factor of the argument does the same.
_SNARKJS_POWER = 2 * X * (6 * X * X + 3 * X + 1)


def verification_key(zkey: ZKey) -> VerificationKey:
    """The key to publish. Nothing is checked; `prover.groth16.verify.Verifier` refuses keys that cannot be trusted."""
    alpha = scale_points_g1(zkey.alpha_g1[None], _SNARKJS_POWER)
    alpha_beta = pairing(alpha[0], zkey.beta_g2)
    return VerificationKey.from_zkey(zkey, from_limbs(fq_from_mont(alpha_beta)))
