"""The builder: linear combinations cost nothing, products one constraint, and mistakes are refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.field import R
from prover.circuit.builder import Builder
from prover.circuit.compile import compile_circuit
from prover.circuit.linear import LinearCombination, weighted_sum
from prover.circuit.modular import invert_matrix
from prover.errors import InputError, KeyMismatchError, UnsatisfiedError
from prover.limbs import from_limbs, to_limbs
from prover.statements import registry
from prover.witness import cpu

elements = st.one_of(st.integers(0, 3), st.integers(R - 3, R - 1), st.integers(0, R - 1))
combinations = st.dictionaries(st.integers(0, 5), st.integers(1, R - 1), max_size=4).map(LinearCombination)


def value(combination: LinearCombination, point: list[int]) -> int:
    return sum(weight * point[variable] for variable, weight in combination.terms.items()) % R


@given(combinations, combinations, elements, st.lists(elements, min_size=5, max_size=5))
def test_linear_combinations_are_a_vector_space(
    left: LinearCombination, right: LinearCombination, factor: int, values: list[int]
) -> None:
    point = [1, *values]
    assert value(left + right, point) == (value(left, point) + value(right, point)) % R
    assert value(left - right, point) == (value(left, point) - value(right, point)) % R
    assert value(factor * left, point) == factor * value(left, point) % R
    assert value(factor - left, point) == (factor - value(left, point)) % R
    assert (left - left).terms == {}
    assert (left + -left).constant_value == 0
    assert all(0 < weight < R for weight in weighted_sum([(factor, left), (-1, right)]).terms.values())


def test_only_a_combination_without_variables_has_a_constant_value() -> None:
    assert LinearCombination.constant(R + 3).constant_value == 3
    assert LinearCombination.constant(0).constant_value == 0
    assert LinearCombination.variable(2).constant_value is None
    assert (LinearCombination.variable(2) + 1).constant_value is None


def square_plus_one() -> Builder:
    builder = Builder("square plus one")
    result = builder.public_input("result")
    root = builder.private_input("root")
    with builder.scope("the square"):
        square = builder.product(root, root)
    with builder.scope("the result"):
        builder.constrain_equal(square + 1, result)
    return builder


def test_a_circuit_is_solved_and_checked() -> None:
    circuit = compile_circuit(square_plus_one())
    witness = cpu.solve(circuit, {"result": 26, "root": 5})
    assert witness.shape == (1, 4, 4)
    assert from_limbs(witness[0]) == [1, 26, 5, 25]
    cpu.check(circuit.r1cs, witness[0])


@given(root=elements)
@settings(deadline=None, max_examples=20)
def test_a_batch_is_solved_as_its_statements_are_one_by_one(root: int) -> None:
    circuit = compile_circuit(square_plus_one())
    batch = [{"result": (x * x + 1) % R, "root": x} for x in (root, 0, R - 1)]
    witnesses = cpu.solve(circuit, batch)
    assert [from_limbs(witness) for witness in witnesses] == [
        from_limbs(cpu.solve(circuit, statement)[0]) for statement in batch
    ]


def test_an_unsatisfied_statement_is_reported_by_its_place_and_never_by_a_value() -> None:
    circuit = compile_circuit(square_plus_one())
    with pytest.raises(UnsatisfiedError, match="the result") as caught:
        cpu.solve(circuit, {"result": 987654321, "root": 5})
    assert "987654321" not in str(caught.value)
    with pytest.raises(UnsatisfiedError, match="statement 1 of the batch"):
        cpu.solve(circuit, [{"result": 26, "root": 5}, {"result": 26, "root": 4}])


def test_check_names_the_first_broken_constraint() -> None:
    circuit = compile_circuit(square_plus_one())
    with pytest.raises(UnsatisfiedError, match="constraint 0 of 2"):
        cpu.check(circuit.r1cs, to_limbs([1, 26, 5, 24]))
    with pytest.raises(UnsatisfiedError, match="constraint 1 of 2"):
        cpu.check(circuit.r1cs, to_limbs([1, 27, 5, 25]))


@pytest.mark.parametrize("values", [[1, 26, 5], [1, 26, 5, 25, 0], [2, 26, 5, 25]])
def test_a_witness_of_another_circuit_is_refused(values: list[int]) -> None:
    with pytest.raises(KeyMismatchError):
        cpu.check(compile_circuit(square_plus_one()).r1cs, to_limbs(values))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"root": 5}, "result of square plus one is missing"),
        ({"result": 26, "root": 5, "extra": 1}, "has no input 'extra'"),
        ({"result": 26, "root": R + 5}, "below the field's modulus"),
        ({"result": 26, "root": -5}, "at least 0"),
        ({"result": 26, "root": [5]}, "must be an integer"),
        ({"result": 26, "root": "5"}, "must be an integer"),
        ({"result": 26, "root": True}, "must be an integer"),
        ({"result": 26, "root": 5.0}, "must be an integer"),
    ],
)
def test_unusable_inputs_are_refused_by_name(inputs: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cpu.solve(compile_circuit(square_plus_one()), inputs)


@pytest.mark.parametrize("rows", [[[1, 2]], [[1, 2], [3]], [[1, 2], 3], [1, 2, 3, 4]])
def test_misshapen_inputs_are_refused(rows: list) -> None:
    builder = Builder("rows")
    for row in builder.private_input_rows("row", 2, 2):
        builder.constrain(row[0], row[1], 6)
    with pytest.raises(InputError, match="row"):
        cpu.solve(compile_circuit(builder), {"row": rows})


def test_an_input_that_no_constraint_uses_is_refused() -> None:
    """Attack 9: a public input that the constraints do not name can be changed under a valid proof."""
    builder = Builder("careless")
    builder.public_input("receiver")
    amount = builder.public_input("amount")
    builder.constrain(amount, amount, amount)
    with pytest.raises(ValueError, match="receiver"):
        compile_circuit(builder)


def test_inputs_come_first_public_ones_before_private_ones_each_name_once() -> None:
    builder = Builder("order")
    private = builder.private_input("a")
    with pytest.raises(ValueError, match="before private"):
        builder.public_input("b")
    with pytest.raises(ValueError, match="already"):
        builder.private_input("a")
    builder.product(private, private)
    with pytest.raises(ValueError, match="before anything"):
        builder.private_input("c")


def test_constants_fold_away() -> None:
    builder = Builder("constants")
    x = builder.private_input("x")
    assert builder.product(3, x).terms == (3 * x).terms
    assert builder.product(x, 0).constant_value == 0
    assert builder.product(6, 7).constant_value == 42
    builder.constrain(2, 3, 6)
    assert builder.constraints == []
    builder.constrain(3, x, 15)
    circuit = compile_circuit(builder)
    assert (circuit.r1cs.a.nnz, circuit.r1cs.b.nnz, circuit.n_constraints) == (0, 0, 1)
    cpu.solve(circuit, {"x": 5})
    with pytest.raises(UnsatisfiedError):
        cpu.solve(circuit, {"x": 6})


def test_a_contradiction_is_refused_when_it_is_written() -> None:
    builder = Builder("contradiction")
    with builder.scope("here"), pytest.raises(ValueError, match="here"):
        builder.constrain(2, 3, 7)


def test_hints_that_no_constraint_names_are_not_wires() -> None:
    builder = Builder("hints")
    x = builder.private_input("x")
    doubled = builder.hint(2 * x)
    builder.constrain(x, builder.hint_inverse(doubled), builder.hint(pow(2, -1, R)))
    circuit = compile_circuit(builder)
    assert circuit.r1cs.n_wires == 4
    assert from_limbs(cpu.solve(circuit, {"x": 7})[0])[2:] == [pow(14, -1, R), pow(2, -1, R)]


def test_signals_have_names_in_the_symbol_file() -> None:
    circuit = compile_circuit(square_plus_one())
    assert list(circuit.symbols()) == [
        (1, 1, 0, "main.result"),
        (2, 2, 0, "main.root"),
        (3, 3, 0, "main.the_square.v3"),
    ]


@given(
    st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(elements, min_size=n, max_size=n), min_size=n, max_size=n))
)
def test_a_matrix_times_its_inverse_is_one(matrix: list[list[int]]) -> None:
    try:
        inverse = invert_matrix(matrix, R)
    except ValueError:
        return
    columns = list(zip(*inverse, strict=True))
    product = [[sum(a * b for a, b in zip(row, column, strict=True)) % R for column in columns] for row in matrix]
    assert product == [[int(i == j) for j in range(len(matrix))] for i in range(len(matrix))]


def test_a_singular_matrix_has_no_inverse() -> None:
    with pytest.raises(ValueError, match="singular"):
        invert_matrix([[1, 2], [2, 4]], R)


def test_circuits_are_known_by_full_and_short_names() -> None:
    assert registry.names() == ["spend_2x2", "insert_64", "spend_2x3", "spend_8x2"]
    assert registry.build("spend") is registry.build("spend_2x2")
    assert registry.resolve("insert") == "insert_64"
    with pytest.raises(InputError, match="spend_2x2, insert_64"):
        registry.build("spend_3x3")
