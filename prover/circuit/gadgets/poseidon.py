"""Poseidon with few constraints and, above all, few coefficients: 240 constraints and 492 entries in A and B for `H2`.

An S-box `x -> x^5` takes three constraints, `x * x = x2`, `x2 * x2 = x4`, `x4 * x = z`, and a circuit's cost follows
its entries as well, most of all those of A and B: they are what a proving key stores and what every proof multiplies.
The input x enters A and B three times. So the free wire of an S-box is not its output z: it is an *input of the next
round*. Every x is a single wire then, and z, which stands in C once, is the linear combination of wires:

- full round: the next inputs are `y = M z + c`, so `z = M^-1 (y - c)`, t terms each.
- partial round k: only one element u_k enters an S-box. Reading the rounds backwards from the first closing full round,
  whose t inputs are wires, `(z_k, rest_k) = M^-1 ((u_{k+1}, rest_{k+1}) - c_{k+1})` expresses z_k and the elements that
  passed unchanged through those t wires and u_{k+1}, u_{k+2}, ... Their number grows to about 60, in C only.
- last round: the hash is `M[0] z`; its t wires are the hash itself and z_1, z_2, ..., and z_0 is their combination.

The first element starts as the constant 0, so its first S-box is a constant, and the first of the t inputs of the
second round is a combination of the others: three constraints less.

Every constraint is the one of the round function under an invertible change of variables: the satisfying assignments of
the wires that remain are exactly those of Poseidon. Sources: the specification in `protocol.poseidon`; compare
circomlib's `poseidon.circom`, which circom -O2 compiles to 243 constraints and 954 entries in A and B.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from protocol.field import R
from protocol.poseidon import Parameters, parameters
from prover.circuit.builder import Builder
from prover.circuit.linear import LinearCombination, Operand, as_combination, weighted_sum
from prover.circuit.modular import invert_matrix

Vector = list[LinearCombination]


def poseidon(builder: Builder, inputs: Sequence[Operand], output: Operand | None = None) -> LinearCombination:
    """`H_n(inputs)` for 1 to 16 inputs, as `protocol.poseidon` computes it.

    With `output` given, its being the hash is part of the last constraint, at no extra cost. An input that is a single
    wire costs least: every term of an input enters A and B three times.
    """
    plan = _plan(len(inputs))
    constants = plan.parameters.round_constants
    half = plan.parameters.full_rounds // 2
    first_closing = half + plan.parameters.partial_rounds

    state = [as_combination(value) + c for value, c in zip([0, *inputs], constants[0], strict=True)]
    state = _first_round(builder, plan, state)
    for round_number in range(1, half - 1):
        state = _full_round(builder, plan, state, constants[round_number + 1])
    state = _partial_rounds(builder, plan, state)
    for round_number in range(first_closing, first_closing + half - 1):
        state = _full_round(builder, plan, state, constants[round_number + 1])
    return _last_round(builder, plan, state, output)


class _SBox:
    """`x^5` before its last constraint: `value` computes z, `close` demands that a combination is z."""

    def __init__(self, builder: Builder, x: LinearCombination) -> None:
        self.builder = builder
        self.x = x
        square = builder.product(x, x)
        self.fourth = builder.product(square, square)

    def value(self) -> LinearCombination:
        return self.builder.hint_product(self.fourth, self.x)

    def close(self, z: LinearCombination) -> None:
        self.builder.constrain(self.fourth, self.x, z)


def _first_round(builder: Builder, plan: "_Plan", state: Vector) -> Vector:
    """The round whose first S-box is a constant: the next first input follows from the others."""
    constants = plan.parameters.round_constants[1]
    first = state[0].constant_value
    assert first is not None
    boxes = [_SBox(builder, x) for x in state[1:]]
    outputs = [LinearCombination.constant(pow(first, 5, R)), *(box.value() for box in boxes)]
    following = [builder.hint(_mix(row, outputs, c)) for row, c in zip(plan.mds[1:], constants[1:], strict=True)]
    # Row 0 of z = M^-1 (y - c) is known; solve it for y_0 - c_0.
    weights = plan.inverse_mds[0]
    shifted = [y - c for y, c in zip(following, constants[1:], strict=True)]
    inverse = pow(weights[0], -1, R)
    shifted_first = weighted_sum(
        [(inverse, outputs[0]), *((-inverse * w, y) for w, y in zip(weights[1:], shifted, strict=True))]
    )
    shifted = [shifted_first, *shifted]
    for box, row in zip(boxes, plan.inverse_mds[1:], strict=True):
        box.close(weighted_sum(zip(row, shifted, strict=True)))
    return [shifted_first + constants[0], *following]


def _full_round(builder: Builder, plan: "_Plan", state: Vector, next_constants: Sequence[int]) -> Vector:
    boxes = [_SBox(builder, x) for x in state]
    outputs = [box.value() for box in boxes]
    following = [builder.hint(_mix(row, outputs, c)) for row, c in zip(plan.mds, next_constants, strict=True)]
    shifted = [y - c for y, c in zip(following, next_constants, strict=True)]
    for box, row in zip(boxes, plan.inverse_mds, strict=True):
        box.close(weighted_sum(zip(row, shifted, strict=True)))
    return following


def _partial_rounds(builder: Builder, plan: "_Plan", state: Vector) -> Vector:
    """The full round before the partial rounds, and all of those; returns the inputs of the first closing round."""
    constants = plan.parameters.round_constants
    first = plan.parameters.full_rounds // 2
    opening = [_SBox(builder, x) for x in state]
    outputs = [box.value() for box in opening]
    partial: list[_SBox] = []
    for round_number in range(first, first + plan.parameters.partial_rounds + 1):
        mixed = [_mix(row, outputs, c) for row, c in zip(plan.mds, constants[round_number], strict=True)]
        outputs = [builder.hint(value) for value in mixed]
        if round_number < first + plan.parameters.partial_rounds:
            partial.append(_SBox(builder, outputs[0]))
            outputs[0] = partial[-1].value()
    basis = [LinearCombination.constant(1), *(box.x for box in partial), *outputs]
    variables = [next(iter(element.terms)) for element in basis]
    for box, combination in zip([*opening, *partial], plan.backward, strict=True):
        box.close(LinearCombination({variables[index]: weight for index, weight in combination}))
    return outputs


def _last_round(builder: Builder, plan: "_Plan", state: Vector, output: Operand | None) -> LinearCombination:
    boxes = [_SBox(builder, x) for x in state]
    others = [builder.product(box.fourth, box.x) for box in boxes[1:]]
    weights = plan.mds[0]
    result = builder.hint(_mix(weights, [boxes[0].value(), *others], 0)) if output is None else as_combination(output)
    inverse = pow(weights[0], -1, R)
    boxes[0].close(
        weighted_sum([(inverse, result), *((-inverse * w, z) for w, z in zip(weights[1:], others, strict=True))])
    )
    return result


def _mix(row: Sequence[int], values: Sequence[LinearCombination], constant: int) -> LinearCombination:
    return weighted_sum([*zip(row, values, strict=True), (constant, 1)])


@dataclass(frozen=True)
class _Plan:
    """Everything about `H_n` that does not depend on the inputs.

    `backward` gives S-box outputs as (basis index, weight) lists: first the t outputs of the full round before the
    partial rounds, then the output of every partial round. The basis is: 1, the S-box input of every partial round, the
    t inputs of the first closing full round.
    """

    parameters: Parameters
    mds: tuple[tuple[int, ...], ...]
    inverse_mds: list[list[int]]
    backward: list[list[tuple[int, int]]]


@cache
def _plan(n_inputs: int) -> _Plan:
    params = parameters(n_inputs)
    inverse_mds = invert_matrix(params.mds, R)
    return _Plan(params, params.mds, inverse_mds, _read_backwards(params, inverse_mds))


def _read_backwards(params: Parameters, inverse_mds: list[list[int]]) -> list[list[tuple[int, int]]]:
    width = len(params.mds)
    count = params.partial_rounds
    size = 1 + count + width
    first = params.full_rounds // 2

    def unit(index: int) -> list[int]:
        return [int(i == index) for i in range(size)]

    state = [unit(1 + count + i) for i in range(width)]
    outputs: list[list[int]] = []
    for step in reversed(range(count + 1)):
        shifted = [list(element) for element in state]
        for element, constant in zip(shifted, params.round_constants[first + step], strict=True):
            element[0] -= constant
        before = [
            [sum(w * v for w, v in zip(row, column, strict=True)) % R for column in zip(*shifted, strict=True)]
            for row in inverse_mds
        ]
        if step == 0:
            outputs = before + outputs
        else:
            outputs.insert(0, before[0])
            state = [unit(step), *before[1:]]
    return [[(index, weight) for index, weight in enumerate(vector) if weight] for vector in outputs]
