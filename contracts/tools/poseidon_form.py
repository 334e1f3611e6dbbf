"""Poseidon's permutation rewritten so that it needs few multiplications: the form the contracts run.

Four identities change the work and not the result (arithmetic in F_r, t = width of the state):

1. Sparse partial rounds (the Poseidon paper, https://eprint.iacr.org/2019/458, appendix B). A partial round is linear
   in the elements 1..t-1, called z. With the matrix `[[m, c], [b, A]]` and the coordinates `y = A^(T-k) z` before
   partial round k of T, a round is `x' = m u + (c A^(k-T)) y`, `y' = y + (A^(T-k-1) b) u` for u = x^5: 2t - 1 products
   instead of t^2. Entering these coordinates is part of the matrix before; leaving them costs nothing, as A^0 = 1.
2. Constants added to z pass through the linear layers until they meet the element that has the S-box; what is left of
   them at the end is added before the first partial round instead.
3. Any element may be kept divided by a constant, since (s x)^5 = s^5 x^5. The scales are chosen so that one weight of
   every sum is 1, and its product disappears.
4. The first element starts as 0, so its first S-box is a constant; and only the first element of the result is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.field import R
from protocol.poseidon import parameters

Vector = list[int]
Matrix = list[Vector]


@dataclass(frozen=True)
class FullLayer:
    """`state <- matrix * state + constants`, after S-boxes on every element. Plain integers in [0, r).

    The first weight of every row is 1, except in the last layer of all.
    """

    matrix: Matrix
    constants: Vector


@dataclass(frozen=True)
class PartialLayer:
    """With u = the first element after its S-box and y = the others: `first <- u + row . y + constant` and
    `y <- y + column * u`. Plain integers in [0, r)."""

    row: Vector
    column: Vector
    constant: int


@dataclass(frozen=True)
class OptimisedForm:
    """`H_n`: add `constants` to the n inputs; then S-boxes and a layer, for each of `opening`, `partial`, `closing`.

    The first opening layer has n columns and the last closing layer one row, whose value is the hash.
    """

    constants: Vector
    opening: list[FullLayer]
    partial: list[PartialLayer]
    closing: list[FullLayer]


def optimised_form(n_inputs: int) -> OptimisedForm:
    """Return the rewritten permutation of `H_n`; raises EncodingError as `protocol.poseidon.parameters` does."""
    params = parameters(n_inputs)
    half = params.full_rounds // 2
    mds = [list(row) for row in params.mds]
    constants = [list(row) for row in params.round_constants]
    before, inner, after = constants[:half], constants[half:-half], constants[-half:]
    first_row, first_column, tail = mds[0][1:], [row[0] for row in mds[1:]], [row[1:] for row in mds[1:]]

    # What the constants added to z have become, before each partial round and after the last.
    carried = [[0] * n_inputs]
    for round_constants in inner:
        carried.append(_apply(tail, _add(carried[-1], round_constants[1:])))
    offset = _add(carried[-1], after[0][1:])

    # Opening: the first S-box of element 0 is a constant; the last layer enters the coordinates y, moved by `offset`.
    first_sbox = pow(before[0][0], 5, R)
    matrices = [[row[1:] for row in mds]] + [mds] * (half - 1)
    matrices[-1] = _multiply(_beside_one(_power(tail, len(inner))), mds)
    added = [_add(before[1], [row[0] * first_sbox for row in mds]), *before[2:], [inner[0][0], *offset]]
    scales = [1] * n_inputs
    opening = []
    for matrix, vector in zip(matrices, added, strict=True):
        layer, scales = _rescaled(matrix, vector, scales)
        opening.append(layer)

    partial = []
    scale, tail_scales = scales[0], scales[1:]
    inverse_tail = _inverse(tail)
    row = _row_times(first_row, _power(inverse_tail, len(inner)))
    following = [*inner[1:], after[0]]
    for index, (next_constant, *_) in enumerate(following):
        column = _apply(_power(tail, len(inner) - index - 1), first_column)
        constant = next_constant + _dot(first_row, _add(carried[index], inner[index][1:])) - _dot(row, offset)
        fifth = pow(scale, 5, R)
        scale = mds[0][0] * fifth % R
        partial.append(
            PartialLayer(
                row=[weight * s * pow(scale, -1, R) % R for weight, s in zip(row, tail_scales, strict=True)],
                column=[weight * fifth * pow(s, -1, R) % R for weight, s in zip(column, tail_scales, strict=True)],
                constant=constant * pow(scale, -1, R) % R,
            )
        )
        row = _row_times(row, tail)

    scales = [scale, *tail_scales]
    closing = []
    for vector in after[1:]:
        layer, scales = _rescaled(mds, vector, scales)
        closing.append(layer)
    closing.append(FullLayer([[w * pow(s, 5, R) % R for w, s in zip(mds[0], scales, strict=True)]], [0]))
    return OptimisedForm(before[0][1:], opening, partial, closing)


def evaluate(form: OptimisedForm, inputs: Sequence[int]) -> int:
    """Run the form: equal to `protocol.poseidon.poseidon(inputs)`."""
    state = _add(inputs, form.constants)
    for layer in form.opening:
        state = _add(_apply(layer.matrix, _fifth_powers(state)), layer.constants)
    for sparse in form.partial:
        power, rest = pow(state[0], 5, R), state[1:]
        state = [
            (power + _dot(sparse.row, rest) + sparse.constant) % R,
            *_add(rest, [weight * power for weight in sparse.column]),
        ]
    for layer in form.closing:
        state = _add(_apply(layer.matrix, _fifth_powers(state)), layer.constants)
    return state[0]


def _rescaled(matrix: Matrix, constants: Vector, scales: Vector) -> tuple[FullLayer, Vector]:
    """Absorb the scales of the elements before the S-boxes, and divide every new element so that its first weight is 1.

    Returns the layer and the scales of the new elements.
    """
    fifths = [pow(scale, 5, R) for scale in scales]
    new_scales = [row[0] * fifths[0] % R for row in matrix]
    inverses = [pow(scale, -1, R) for scale in new_scales]
    layer = FullLayer(
        [
            [weight * fifth * inverse % R for weight, fifth in zip(row, fifths, strict=True)]
            for row, inverse in zip(matrix, inverses, strict=True)
        ],
        [constant * inverse % R for constant, inverse in zip(constants, inverses, strict=True)],
    )
    return layer, new_scales


def _fifth_powers(vector: Vector) -> Vector:
    return [pow(value, 5, R) for value in vector]


def _add(left: Sequence[int], right: Sequence[int]) -> Vector:
    return [(a + b) % R for a, b in zip(left, right, strict=True)]


def _dot(left: Vector, right: Vector) -> int:
    return sum(a * b for a, b in zip(left, right, strict=True)) % R


def _apply(matrix: Matrix, vector: Vector) -> Vector:
    return [_dot(row, vector) for row in matrix]


def _row_times(row: Vector, matrix: Matrix) -> Vector:
    return [_dot(row, list(column)) for column in zip(*matrix, strict=True)]


def _multiply(left: Matrix, right: Matrix) -> Matrix:
    return [_row_times(row, right) for row in left]


def _power(matrix: Matrix, exponent: int) -> Matrix:
    result = [[int(i == j) for j in range(len(matrix))] for i in range(len(matrix))]
    for _ in range(exponent):
        result = _multiply(result, matrix)
    return result


def _beside_one(matrix: Matrix) -> Matrix:
    """Return the block matrix that keeps element 0 and applies `matrix` to the others."""
    return [[1] + [0] * len(matrix)] + [[0, *row] for row in matrix]


def _inverse(matrix: Matrix) -> Matrix:
    """Gauss-Jordan elimination; the matrix is part of an MDS matrix, so no submatrix is singular."""
    size = len(matrix)
    rows = [[*row, *(int(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for pivot in range(size):
        inverse = pow(rows[pivot][pivot], -1, R)
        rows[pivot] = [value * inverse % R for value in rows[pivot]]
        for index in range(size):
            if index != pivot:
                factor = rows[index][pivot]
                rows[index] = [(a - factor * b) % R for a, b in zip(rows[index], rows[pivot], strict=True)]
    return [row[size:] for row in rows]
