"""Writing circuits: a builder collects variables, constraints and the instructions that compute the variables.

    builder = Builder("product")
    result = builder.public_input("result")
    left, right = builder.private_input("left"), builder.private_input("right")
    builder.constrain(left, right, result)
    circuit = compile_circuit(builder)

Gadgets are functions that take the builder first. A variable is a wire only if a constraint names it: values that
merely help to compute others (`hint_...`) vanish from the constraint system, and so does everything that is a linear
combination of wires.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from prover.circuit.linear import ONE, LinearCombination, Operand, as_combination
from prover.circuit.program import Opcode


class Constraint(NamedTuple):
    """`a * b = c`, written in scope number `scope`."""

    a: LinearCombination
    b: LinearCombination
    c: LinearCombination
    scope: int


class Instruction(NamedTuple):
    """See `prover.circuit.program`; `n_bits` is used by BITS only."""

    opcode: Opcode
    target: int
    left: LinearCombination
    right: LinearCombination | None = None
    n_bits: int = 0


@dataclass(frozen=True)
class Signal:
    """An input of a circuit: `shape` is () for one number, (n,) for a list, (n, m) for a list of lists."""

    name: str
    shape: tuple[int, ...]
    public: bool

    @property
    def size(self) -> int:
        size = 1
        for length in self.shape:
            size *= length
        return size


class Builder:
    """A circuit under construction. All inputs come first, public ones before private ones."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.signals: list[Signal] = []
        self.constraints: list[Constraint] = []
        self.instructions: list[Instruction] = []
        self.scopes: list[str] = [""]
        self.variable_scopes: list[int] = [0]
        self._scope_numbers = {"": 0}
        self._scope = 0

    @property
    def n_variables(self) -> int:
        return len(self.variable_scopes)

    @property
    def n_inputs(self) -> int:
        return sum(signal.size for signal in self.signals)

    def public_input(self, name: str) -> LinearCombination:
        return self._inputs(name, (), True)[0]

    def public_inputs(self, name: str, count: int) -> list[LinearCombination]:
        return self._inputs(name, (count,), True)

    def private_input(self, name: str) -> LinearCombination:
        return self._inputs(name, (), False)[0]

    def private_inputs(self, name: str, count: int) -> list[LinearCombination]:
        return self._inputs(name, (count,), False)

    def private_input_rows(self, name: str, count: int, length: int) -> list[list[LinearCombination]]:
        flat = self._inputs(name, (count, length), False)
        return [flat[i * length : (i + 1) * length] for i in range(count)]

    def _inputs(self, name: str, shape: tuple[int, ...], public: bool) -> list[LinearCombination]:
        if any(signal.name == name for signal in self.signals):
            raise ValueError(f"the circuit already has an input named {name}")
        if self.n_variables != 1 + self.n_inputs:
            raise ValueError("inputs must be declared before anything is computed")
        if public and self.signals and not self.signals[-1].public:
            raise ValueError("public inputs must be declared before private ones")
        signal = Signal(name, shape, public)
        self.signals.append(signal)
        return [LinearCombination.variable(number) for number in self._allocate(signal.size)]

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Name the place of what is built inside; nested names are joined by `: ` and appear in errors."""
        outer = self._scope
        path = f"{self.scopes[outer]}: {name}" if outer else name
        self._scope = self._scope_numbers.setdefault(path, len(self.scopes))
        if self._scope == len(self.scopes):
            self.scopes.append(path)
        try:
            yield
        finally:
            self._scope = outer

    def constrain(self, a: Operand, b: Operand, c: Operand) -> None:
        """Demand `a * b = c`. A product with a constant becomes a linear constraint."""
        a, b, c = as_combination(a), as_combination(b), as_combination(c)
        constant_a, constant_b = a.constant_value, b.constant_value
        if constant_a is not None:
            self.constrain_equal(b * constant_a, c)
        elif constant_b is not None:
            self.constrain_equal(a * constant_b, c)
        else:
            self.constraints.append(Constraint(a, b, c, self._scope))

    def constrain_equal(self, left: Operand, right: Operand) -> None:
        """Demand `left = right`, as 0 * 0 = left - right: a linear constraint weighs on no matrix but C.

        Raises ValueError when this can never hold, whatever the inputs.
        """
        difference = as_combination(left) - right
        constant = difference.constant_value
        if constant == 0:
            return
        if constant is not None:
            raise ValueError(f"a constraint that no input satisfies, in: {self.scopes[self._scope]}")
        nothing = LinearCombination({})
        self.constraints.append(Constraint(nothing, nothing, difference, self._scope))

    def product(self, a: Operand, b: Operand) -> LinearCombination:
        """Return `a * b`: one wire and one constraint, or nothing at all when a factor is constant."""
        a, b = as_combination(a), as_combination(b)
        constant_a, constant_b = a.constant_value, b.constant_value
        if constant_a is not None:
            return b * constant_a
        if constant_b is not None:
            return a * constant_b
        result = self.hint_product(a, b)
        self.constraints.append(Constraint(a, b, result, self._scope))
        return result

    def quotient(self, numerator: Operand, denominator: Operand) -> LinearCombination:
        """Return `numerator / denominator`: one wire and one constraint, `denominator * result = numerator`.

        The caller makes sure that the denominator cannot be zero: the constraint fixes nothing if both are.
        """
        result = self.hint_product(numerator, self.hint_inverse(denominator))
        self.constrain(denominator, result, numerator)
        return result

    def hint(self, value: Operand) -> LinearCombination:
        """A new variable that the witness program sets to `value`. No constraint says so."""
        (target,) = self._allocate(1)
        self.instructions.append(Instruction(Opcode.LINEAR, target, as_combination(value)))
        return LinearCombination.variable(target)

    def hint_product(self, a: Operand, b: Operand) -> LinearCombination:
        """A new variable that the witness program sets to `a * b`. No constraint says so."""
        (target,) = self._allocate(1)
        self.instructions.append(Instruction(Opcode.PRODUCT, target, as_combination(a), as_combination(b)))
        return LinearCombination.variable(target)

    def hint_inverse(self, value: Operand) -> LinearCombination:
        """A new variable that the witness program sets to `1 / value`, or to 0 for 0. No constraint says so."""
        (target,) = self._allocate(1)
        self.instructions.append(Instruction(Opcode.INVERSE, target, as_combination(value)))
        return LinearCombination.variable(target)

    def hint_bits(self, value: Operand, count: int) -> list[LinearCombination]:
        """New variables that the witness program sets to the lowest bits of `value`, least significant first.

        No constraint says so, not even that they are 0 or 1.
        """
        targets = self._allocate(count)
        self.instructions.append(Instruction(Opcode.BITS, targets[0], as_combination(value), n_bits=count))
        return [LinearCombination.variable(target) for target in targets]

    def _allocate(self, count: int) -> Sequence[int]:
        first = self.n_variables
        self.variable_scopes.extend([self._scope] * count)
        return range(first, first + count)


def constrained_variables(constraints: Sequence[Constraint]) -> set[int]:
    """All variables that some constraint names, without the constant one."""
    found: set[int] = set()
    for constraint in constraints:
        found.update(constraint.a.terms, constraint.b.terms, constraint.c.terms)
    found.discard(ONE)
    return found
