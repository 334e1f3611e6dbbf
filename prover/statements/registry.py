"""The circuits Gelap knows, by name."""

from collections.abc import Callable
from functools import cache

from prover.circuit.compile import Circuit
from prover.errors import InputError
from prover.statements.insert import build_insert
from prover.statements.spend import build_spend

_BUILDERS: dict[str, Callable[[str], Circuit]] = {
    "spend_2x2": lambda name: build_spend(name, 2, 2),
    "insert_64": build_insert,
}
_ALIASES = {"spend": "spend_2x2", "insert": "insert_64"}


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
