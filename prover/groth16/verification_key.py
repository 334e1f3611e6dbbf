"""The verification key of a proving key, complete with the pairing that snarkjs's JSON form carries."""

from prover.formats.verification_key import VerificationKey
from prover.formats.zkey import ZKey
from prover.kernels.cpu.pairing import pairing
from prover.kernels.cpu.vector import fq_from_mont
from prover.limbs import from_limbs


def verification_key(zkey: ZKey) -> VerificationKey:
    """The key to publish. Nothing is checked; `prover.groth16.verify.Verifier` refuses keys that cannot be trusted."""
    alpha_beta = from_limbs(fq_from_mont(pairing(zkey.alpha_g1, zkey.beta_g2).reshape(-1, 4)))
    return VerificationKey.from_zkey(zkey, alpha_beta)
