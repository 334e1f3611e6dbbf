"""Linear combinations of circuit variables over F_r: what constraints are made of."""

from collections.abc import Iterable

from protocol.field import R

ONE = 0
"""The variable whose value is always one; it carries the constants."""


class LinearCombination:
    """`sum of coefficient * variable`, immutable. `terms` maps variable numbers to coefficients in 1..r-1, plain.

    Sums and multiples of linear combinations are linear combinations, so adding, subtracting and scaling cost no
    constraint and make no wire.
    """

    __slots__ = ("terms",)

    def __init__(self, terms: dict[int, int]) -> None:
        """Take over `terms`, whose coefficients are canonical and not zero; not checked."""
        self.terms = terms

    @classmethod
    def constant(cls, value: int) -> "LinearCombination":
        value %= R
        return cls({ONE: value} if value else {})

    @classmethod
    def variable(cls, number: int) -> "LinearCombination":
        return cls({number: 1})

    @property
    def constant_value(self) -> int | None:
        """The value of a combination without variables, else None."""
        if not self.terms:
            return 0
        return self.terms[ONE] if len(self.terms) == 1 and ONE in self.terms else None

    def __add__(self, other: "LinearCombination | int") -> "LinearCombination":
        return weighted_sum(((1, self), (1, as_combination(other))))

    __radd__ = __add__

    def __sub__(self, other: "LinearCombination | int") -> "LinearCombination":
        return weighted_sum(((1, self), (-1, as_combination(other))))

    def __rsub__(self, other: int) -> "LinearCombination":
        return as_combination(other) - self

    def __neg__(self) -> "LinearCombination":
        return LinearCombination({variable: R - coefficient for variable, coefficient in self.terms.items()})

    def __mul__(self, factor: int) -> "LinearCombination":
        return weighted_sum(((factor, self),))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"LinearCombination({self.terms})"


Operand = LinearCombination | int


def as_combination(value: Operand) -> LinearCombination:
    """An integer as a constant combination; a combination as it is."""
    return value if isinstance(value, LinearCombination) else LinearCombination.constant(value)


def weighted_sum(parts: Iterable[tuple[int, Operand]]) -> LinearCombination:
    """`sum of weight * part`: one pass, however many parts there are."""
    total: dict[int, int] = {}
    get = total.get
    for weight, part in parts:
        for variable, coefficient in as_combination(part).terms.items():
            total[variable] = get(variable, 0) + weight * coefficient
    return LinearCombination({variable: value % R for variable, value in total.items() if value % R})
