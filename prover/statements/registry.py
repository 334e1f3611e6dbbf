"""The circuits Gelap knows, by name."""

from collections.abc import Callable
from functools import cache, partial

from prover.circuit.compile import Circuit
from prover.errors import InputError
from prover.statements.insert import build_insert
from prover.statements.spend import build_spend

_BUILDERS: dict[str, Callable[[str], Circuit]] = {
    "spend_2x2": partial(build_spend, n_inputs=2, n_outputs=2),
    "insert_64": build_insert,
    "spend_2x3": partial(build_spend, n_inputs=2, n_outputs=3),
    "spend_8x2": partial(build_spend, n_inputs=8, n_outputs=2),
}
_ALIASES = {"spend": "spend_2x2", "insert": "insert_64"}

BASIC = ("spend_2x2", "insert_64")
"""What a pool cannot do without; the others are for whoever wants them, as their keys take longer to make."""


def names() -> list[str]:
    """The full names of all circuits."""
    return list(_BUILDERS)


def resolve(name: str) -> str:
    """The full name for a name or its short form, such as `spend`. Raises InputError for an unknown one."""
    full = _ALIASES.get(name, name)
    if full not in _BUILDERS:
        raise InputError(f"there is no circuit {name!r}; choose one of: {', '.join(names())}")
    return full


def build(name: str) -> Circuit:
    """The compiled circuit; compiled once a process. Raises InputError for an unknown name."""
    return _compiled(resolve(name))


@cache
def _compiled(full_name: str) -> Circuit:
    return _BUILDERS[full_name](full_name)
