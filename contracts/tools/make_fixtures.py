"""Write the fixtures of the Foundry tests that do not need the proving engine.

    python -m contracts.tools.make_fixtures

- `poseidon.json`: inputs and outputs of H3 from `protocol.poseidon`.
- `trapdoors.json`: verification keys whose secrets are known, made with py-ecc. With the secrets, the tests make a
  proof that passes the verifier for any public inputs: a = A's logarithm, b = B's, and
  C = (a b - alpha beta - gamma (ic_0 + sum s_i ic_i)) / delta. This is the simulator of Groth's paper
  (https://eprint.iacr.org/2016/260), and an oracle that shares no code with our prover.
- `verifier.json`: one such key with proofs, checked here with py-ecc's pairing.

All numbers come from SHA-256, so that a second run writes the same bytes.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from py_ecc import optimized_bn128 as bn

from protocol.field import R
from protocol.merkle import ZEROS
from protocol.poseidon import poseidon

FIXTURES = Path(__file__).parents[1] / "test" / "fixtures"

# Public inputs of `spend` with 2 inputs and 2 outputs, of `insert`, of a small key for the verifier's own tests, and of
# `spend` with other numbers of inputs and outputs.
TRAPDOORS = {"spend": 8, "insert": 5, "small": 3, "spend2x3": 9, "spend8x2": 14, "spend3x2": 9}


def scalar(label: str) -> int:
    """Return a number in [1, r) that depends on the label only."""
    digest = hashlib.sha512(b"gelap/test fixture/" + label.encode()).digest()
    return 1 + int.from_bytes(digest, "big") % (R - 1)


def words(*values: int) -> str:
    return "0x" + "".join(f"{value:064x}" for value in values)


def g1(exponent: int) -> str:
    """Return `exponent` times the generator of G1 as the words x, y."""
    x, y = bn.normalize(bn.multiply(bn.G1, exponent % R))
    return words(x.n, y.n)


def g2(exponent: int) -> str:
    """Return `exponent` times the generator of G2 as the words x.c1, x.c0, y.c1, y.c0."""
    x, y = bn.normalize(bn.multiply(bn.G2, exponent % R))
    return words(*(int(c) for element in (x, y) for c in reversed(element.coeffs)))


def join(*parts: str) -> str:
    return "0x" + "".join(part[2:] for part in parts)


class Trapdoor:
    """The secrets of a verification key with a number of public inputs, drawn from a label."""

    def __init__(self, label: str, public_inputs: int) -> None:
        self.alpha, self.beta, self.gamma, self.delta, self.a, self.b = (
            scalar(f"{label}/{part}") for part in ("alpha", "beta", "gamma", "delta", "a", "b")
        )
        self.ic = [scalar(f"{label}/ic/{i}") for i in range(public_inputs + 1)]

    def key(self) -> str:
        """Return the key's bytes in the verifier's order."""
        return join(g1(self.alpha), g2(self.beta), g2(self.gamma), g2(self.delta), *(g1(value) for value in self.ic))

    def combined(self, public: list[int]) -> int:
        return self.ic[0] + sum(value * point for value, point in zip(public, self.ic[1:], strict=True))

    def c(self, public: list[int]) -> int:
        """Return the logarithm of C in a proof of these public inputs."""
        rest = self.a * self.b - self.alpha * self.beta - self.gamma * self.combined(public)
        return rest * pow(self.delta, -1, R) % R

    def proof(self, public: list[int]) -> str:
        return join(g1(self.a), g2(self.b), g1(self.c(public)))

    def accepts(self, public: list[int]) -> bool:
        """Check the proof of these inputs with py-ecc's pairing, from points rather than from logarithms."""
        pairs = [
            (bn.G2, self.b, -self.a),
            (bn.G2, self.beta, self.alpha),
            (bn.G2, self.gamma, self.combined(public)),
            (bn.G2, self.delta, self.c(public)),
        ]
        product = bn.FQ12.one()
        for point, second, first in pairs:
            product *= bn.pairing(bn.multiply(point, second % R), bn.multiply(bn.G1, first % R))
        return bool(product == bn.FQ12.one())

    def fixture(self) -> dict[str, Any]:
        return {
            "key": self.key(),
            "alphaBeta": words(self.alpha * self.beta % R),
            "gamma": words(self.gamma),
            "inverseDelta": words(pow(self.delta, -1, R)),
            "ic": words(*self.ic),
            "a": words(self.a),
            "b": words(self.b),
            "pointB": g2(self.b),
        }


def poseidon_fixture() -> dict[str, Any]:
    edges = [0, 1, 2, R - 1, R - 2, 1 << 128, 1 << 253]
    inputs = [[a, b, c] for a in edges[:4] for b in edges[:4] for c in edges[:4]]
    inputs += [[edge, edge, edge] for edge in edges]
    inputs += [[scalar(f"poseidon/{n}/{i}") for i in range(3)] for n in range(32)]
    return {
        "inputs": words(*(value for row in inputs for value in row)),
        "outputs": words(*(poseidon(row) for row in inputs)),
        "emptyRoot": words(ZEROS[32]),
    }


def verifier_fixture() -> dict[str, Any]:
    trapdoor = Trapdoor("small", TRAPDOORS["small"])
    statements = [[1, 2, 3], [0, 0, 0], [R - 1, 0, scalar("public")]]
    for public in statements:
        if not trapdoor.accepts(public):
            raise AssertionError("py-ecc refuses a simulated proof")
    outside = outside_subgroup()
    return {
        "key": trapdoor.key(),
        "publicValues": [words(*public) for public in statements],
        "proofs": [trapdoor.proof(public) for public in statements],
        "g2OutsideSubgroup": outside,
    }


def outside_subgroup() -> str:
    """Return a point of the twist that is not in G2: almost no point with a small x is."""
    q = bn.field_modulus
    for x0 in range(1, 1000):
        x = bn.FQ2([x0, 0])
        y = square_root(x * x * x + bn.b2)
        if y is not None and not bn.is_inf(bn.multiply((x, y, bn.FQ2.one()), R)):
            return words(0, x0, int(y.coeffs[1]) % q, int(y.coeffs[0]) % q)
    raise AssertionError("no point found")


def square_root(value: Any) -> Any | None:
    """Return a square root in F_q2 = F_q[i], or None. q = 3 mod 4, so a power gives the roots in F_q."""
    q = bn.field_modulus
    a, b = (int(c) for c in value.coeffs)
    norm_root = pow(a * a + b * b, (q + 1) // 4, q)
    for sign in (1, -1):
        real = pow((a + sign * norm_root) * pow(2, -1, q), (q + 1) // 4, q)
        root = bn.FQ2([real, b * pow(2 * real, -1, q) % q]) if real else bn.FQ2.zero()
        if root * root == value:
            return root
    return None


def fixtures() -> dict[str, dict[str, Any]]:
    """Return all fixtures by name."""
    return {
        "poseidon": poseidon_fixture(),
        "trapdoors": {name: Trapdoor(name, count).fixture() for name, count in TRAPDOORS.items()},
        "verifier": verifier_fixture(),
    }


def main() -> None:
    FIXTURES.mkdir(exist_ok=True)
    for name, fixture in fixtures().items():
        (FIXTURES / f"{name}.json").write_text(json.dumps(fixture, indent=2) + "\n")


if __name__ == "__main__":
    main()
