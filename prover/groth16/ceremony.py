"""Powers of tau for development: one contribution, made by whoever runs this.

Whoever knows tau can prove anything under every key made from it. Here one process draws it from the operating system's
random source and forgets it when done, but nobody can check that it did. For anything of value use a public ceremony's
file.

Knowing tau is what makes this fast: the Lagrange points that snarkjs derives by Fourier transforms in the group
("prepare phase 2") are the generator times L_i(tau), so every point is one multiplication of a fixed base.

The layout and the contribution record are those of snarkjs 0.7 (`powersoftau_new.js`, `_contribute.js`,
`_preparephase2.js`), after Bowe, Gabizon and Miers (eprint 2017/1050): `snarkjs powersoftau verify` accepts the file.
"""

import secrets
from dataclasses import dataclass

import numpy as np

from protocol.field import R
from prover.errors import SetupError
from prover.formats.contribution import Contributor
from prover.formats.files import AnyPath
from prover.formats.ptau import LagrangeBases, PowersOfTau, PtauContribution, PtauPublicKey, write_ptau
from prover.groth16.hash_to_g2 import hash_to_g2, multiply_point
from prover.groth16.transcript import compressed, digest, partial_digest, uncompressed
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2
from prover.kernels.cpu.vector import fr_from_mont, fr_powers
from prover.limbs import to_limbs
from prover.msm.fixed_base import fixed_base_g1, fixed_base_g2
from prover.ntt.cpu import ntt
from prover.progress import Reporter, silent

MAX_POWER = 20
CONTRIBUTOR = "gelap, for development only"


@dataclass(frozen=True, repr=False)
class _Secret:
    """The toxic waste. It has no repr, so that no log or traceback shows it."""

    tau: int
    alpha: int
    beta: int


def new_powers_of_tau(power: int, path: AnyPath, progress: Reporter = silent) -> None:
    """Write powers of tau for domains up to 2^power, prepared for phase 2. For development only.

    Raises SetupError for a power outside 1 to 20 and FormatError when the file cannot be written.
    """
    if not 1 <= power <= MAX_POWER:
        raise SetupError(
            f"powers of tau made here have a power from 1 to {MAX_POWER}, not {power}; "
            "for larger circuits take a public ceremony's file"
        )
    steps = 10
    secret = _Secret(*(1 + secrets.randbelow(R - 1) for _ in range(3)))
    size = 1 << power
    g1, g2 = pack_g1([G1_GENERATOR])[0], pack_g2([G2_GENERATOR])[0]

    def family(step: int, name: str, base: np.ndarray, scalars_mont: np.ndarray) -> np.ndarray:
        progress(name, step, steps)
        multiply = fixed_base_g1 if len(base) == 8 else fixed_base_g2
        return multiply(base, fr_from_mont(scalars_mont))

    powers = fr_powers(secret.tau, 2 * size - 1)
    alpha_powers = fr_powers(secret.tau, size, secret.alpha)
    beta_powers = fr_powers(secret.tau, size, secret.beta)
    tau_lagrange = _lagrange_scalars(powers, power + 1)
    monomials = PowersOfTau(
        power=power,
        ceremony_power=power,
        tau_g1=family(0, "powers in G1", g1, powers),
        tau_g2=family(1, "powers in G2", g2, powers[:size]),
        alpha_tau_g1=family(2, "alpha times powers", g1, alpha_powers),
        beta_tau_g1=family(3, "beta times powers", g1, beta_powers),
        beta_g2=fixed_base_g2(g2, to_limbs([secret.beta]))[0],
        contributions=[],
        lagrange_bases=LagrangeBases(
            tau_g1=family(4, "Lagrange bases in G1", g1, tau_lagrange),
            tau_g2=family(5, "Lagrange bases in G2", g2, tau_lagrange[: 2 * size - 1]),
            alpha_tau_g1=family(6, "alpha times Lagrange bases", g1, _lagrange_scalars(alpha_powers, power)),
            beta_tau_g1=family(7, "beta times Lagrange bases", g1, _lagrange_scalars(beta_powers, power)),
        ),
    )
    progress("contribution record", 8, steps)
    monomials.contributions.append(_contribution(monomials, secret))
    progress("writing", 9, steps)
    write_ptau(path, monomials)
    progress("done", steps, steps)


def _lagrange_scalars(powers_mont: np.ndarray, largest: int) -> np.ndarray:
    """The scalars of the Lagrange bases of sizes 2^0 .. 2^largest, one after another, Montgomery form.

    Basis k is the inverse transform of the first 2^k powers. The largest tau family lacks its last power, which snarkjs
    takes as zero.
    """
    bases = []
    for power in range(largest + 1):
        chosen = powers_mont[: 1 << power]
        if len(chosen) < 1 << power:
            chosen = np.concatenate([chosen, np.zeros((1, 4), dtype=np.uint64)])
        bases.append(ntt(chosen, inverse=True))
    return np.concatenate(bases)


def _contribution(ptau: PowersOfTau, secret: _Secret) -> PtauContribution:
    """The record that proves the file was made from the empty one with knowledge of tau, alpha and beta."""
    size = 1 << ptau.power
    g1, g2 = pack_g1([G1_GENERATOR]), pack_g2([G2_GENERATOR])
    start_g1, start_g2 = uncompressed(g1), uncompressed(g2)
    # The empty file holds the generators everywhere.
    challenge = digest(digest(), start_g1 * (2 * size - 1), start_g2 * size, start_g1 * (2 * size), start_g2)

    pairs = {name: _knowledge(number, getattr(secret, name), challenge) for number, name in enumerate(_SECRETS)}
    key = PtauPublicKey(
        **{f"{name}_g1_s": s for name, (s, _, _) in pairs.items()},
        **{f"{name}_g1_sx": sx for name, (_, sx, _) in pairs.items()},
        **{f"{name}_g2_spx": spx for name, (_, _, spx) in pairs.items()},
    )
    key_bytes = b"".join(uncompressed(np.stack([s, sx])) for s, sx, _ in pairs.values())
    key_bytes += b"".join(uncompressed(spx[None]) for _, _, spx in pairs.values())

    families = [ptau.tau_g1, ptau.tau_g2, ptau.alpha_tau_g1, ptau.beta_tau_g1, ptau.beta_g2[None]]
    response = challenge + b"".join(compressed(points) for points in families)
    return PtauContribution(
        tau_g1=ptau.tau_g1[1],
        tau_g2=ptau.tau_g2[1],
        alpha_g1=ptau.alpha_tau_g1[0],
        beta_g1=ptau.beta_tau_g1[0],
        beta_g2=ptau.beta_g2,
        key=key,
        partial_hash=partial_digest(response),
        next_challenge=digest(digest(response, key_bytes), *(uncompressed(points) for points in families)),
        contributor=Contributor(name=CONTRIBUTOR),
    )


_SECRETS = ("tau", "alpha", "beta")


def _knowledge(number: int, secret: int, challenge: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(S, x S) in G1 and x P in G2, for a random S and the P that the transcript so far stands for."""
    start = secrets.randbelow(R - 1) + 1
    s, sx = fixed_base_g1(pack_g1([G1_GENERATOR])[0], to_limbs([start, start * secret % R]))
    p = hash_to_g2(digest(bytes([number]), challenge, uncompressed(s[None]), uncompressed(sx[None])))
    return s, sx, pack_g2([multiply_point(p, secret)])[0]
