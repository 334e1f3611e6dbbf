"""Write `src/PoseidonT4.sol`: the hash of three inputs as straight-line assembly, from `protocol.poseidon.parameters`.

    python -m contracts.tools.generate_poseidon

The code follows `poseidon_form`. Sums are left unreduced as long as they fit a word: 2^256 > 5 r, so up to five terms
below r need no reduction, and a product reduces whatever it is given.
"""

from pathlib import Path

from contracts.tools.poseidon_form import FullLayer, PartialLayer, Vector, optimised_form
from protocol.field import R

TARGET = Path(__file__).parents[1] / "src" / "PoseidonT4.sol"
INPUTS = 3
_MAX_TERMS = 5

_HEADER = """\
// SPDX-License-Identifier: MIT
// Written by contracts/tools/generate_poseidon.py; change that instead.
pragma solidity ^0.8.28;

/// @title Poseidon of three inputs over the scalar field of BN254, with circomlib's parameters.
/// @notice A contract of its own, since its constants fill most of what one contract may hold.
/// @dev The permutation is rewritten with sparse partial rounds and scaled elements, which changes no result; the
/// generator explains how. x is the first element of the state, with an S-box in every round; the inputs' variables
/// become the other three. u, v, w, t hold fifth powers. The nesting keeps the stack within reach without the IR.
contract PoseidonT4 {
    /// @notice H3(a, b, c). Inputs that are not below the field's modulus are reduced: callers check what must be
    /// canonical.
    function hash(uint256 a, uint256 b, uint256 c) external pure returns (uint256 result) {
        assembly ("memory-safe") {
            let r := 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001
"""

_FOOTER = """\
        }
    }
}
"""

# The state, by position; the first element has an S-box in every round.
_STATE = ["x", "a", "b", "c"]
_SBOXES = ["u", "v", "w", "t"]


def source() -> str:
    """Return the Solidity source."""
    form = optimised_form(INPUTS)
    inputs = _STATE[1:]
    lines = [f"let {name}" for name in ["x", *_SBOXES, "square"]]
    # Reduced at once, as an input may be any word and a plain sum could wrap.
    for name, constant in zip(inputs, form.constants, strict=True):
        lines.append(f"{name} := addmod({name}, {_literal(constant)}, r)")
    lines += _full_round(form.opening[0], inputs)
    for layer in form.opening[1:]:
        lines += _full_round(layer, _STATE)
    # How many terms below r each of the other elements may hold.
    terms = [_MAX_TERMS] * INPUTS
    for sparse in form.partial:
        lines += _partial_round(sparse, terms)
    for layer in form.closing[:-1]:
        lines += _full_round(layer, _STATE)
    lines += _sboxes(_STATE)
    (weights,) = form.closing[-1].matrix
    lines.append(f"result := mod({_sum(_products(weights, _SBOXES))}, r)")
    return _HEADER + "".join(f"            {line}\n" for line in lines) + _FOOTER


def _full_round(layer: FullLayer, state: list[str]) -> list[str]:
    """Emit S-boxes on `state` and the layer, whose sums have five terms at most."""
    sboxes = _SBOXES[: len(state)]
    return _sboxes(state) + [
        f"{target} := {_sum([*_products(weights, sboxes), _literal(constant)])}"
        for target, weights, constant in zip(_STATE, layer.matrix, layer.constants, strict=True)
    ]


def _partial_round(layer: PartialLayer, terms: list[int]) -> list[str]:
    """Emit one partial round, and keep in `terms` how many terms below r each element but the first may hold."""
    others = _STATE[1:]
    lines = _sboxes(_STATE[:1])
    lines.append(f"x := {_sum(['u', *_products(layer.row, others), _literal(layer.constant)])}")
    for index, (name, weight) in enumerate(zip(others, layer.column, strict=True)):
        (product,) = _products([weight], ["u"])
        if terms[index] < _MAX_TERMS:
            terms[index] += 1
            lines.append(f"{name} := add({name}, {product})")
        else:
            terms[index] = 1
            lines.append(f"{name} := addmod({name}, {product}, r)")
    return lines


def _sboxes(state: list[str]) -> list[str]:
    lines = []
    for name, sbox in zip(state, _SBOXES, strict=False):
        lines.append(f"square := mulmod({name}, {name}, r)")
        lines.append(f"{sbox} := mulmod(mulmod(square, square, r), {name}, r)")
    return lines


def _products(weights: Vector, names: list[str]) -> list[str]:
    return [
        name if weight == 1 else f"mulmod({name}, {_literal(weight)}, r)"
        for weight, name in zip(weights, names, strict=True)
    ]


def _sum(terms: list[str]) -> str:
    """Add terms without reduction, the last two first: few intermediate values wait on the stack."""
    expression = terms[-1]
    for term in reversed(terms[:-1]):
        expression = f"add({term}, {expression})"
    return expression


def _literal(value: int) -> str:
    return f"0x{value % R:064x}"


def main() -> None:
    TARGET.write_text(source())


if __name__ == "__main__":
    main()
