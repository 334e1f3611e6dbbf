"""Circuits to measure: `spend`, `insert`, and Poseidon chains of any size.

A chain proves knowledge of `start` and items x_1 .. x_n with H2(... H2(H2(start, x_1), x_2) ..., x_n) = output. Its
witness is uniform over the field, the hardest kind for multi-scalar multiplication.
"""

import re
import secrets
from collections.abc import Callable
from typing import Any

from bench.chain import repeat_chain
from bench.errors import BenchError
from protocol import eddsa
from protocol.babyjubjub import SUBGROUP_ORDER
from protocol.field import R
from protocol.merkle import BATCH, MerkleTree
from protocol.note import Note, random_blinding
from protocol.poseidon import poseidon
from protocol.statements import InsertStatement, SpendPublic, SpendWitness, SpentNote
from prover.circuit.compile import Circuit
from prover.errors import InputError
from prover.kernels.cpu.poseidon import hash_pairs
from prover.statements import registry

# Constraints of one H2 in a circuit.
LINK = 240
_SUFFIXES = {"": 1, "k": 1_000, "m": 1_000_000}


def parse_chain(name: str) -> int | None:
    """The number of constraints in `chain:250000` or `chain:250k`; None for another kind of name."""
    if not name.startswith("chain:"):
        return None
    match = re.fullmatch(r"chain:([0-9]{1,9})([kmM]?)", name)
    size = int(match[1]) * _SUFFIXES[match[2].lower()] if match else 0
    if size < LINK:
        raise BenchError(
            f"{name}: write chain:N with N constraints, {LINK} or more, such as chain:250000 or chain:250k"
        )
    return size


def chain_name(constraints: int) -> str:
    """`poseidon_chain_250k` for 250,000 constraints."""
    for suffix, unit in (("m", 1_000_000), ("k", 1_000)):
        if constraints % unit == 0:
            return f"poseidon_chain_{constraints // unit}{suffix}"
    return f"poseidon_chain_{constraints}"


def build(name: str) -> Circuit:
    """The circuit of a name as `--circuit` takes it. Raises BenchError for an unknown name."""
    constraints = parse_chain(name)
    if constraints is not None:
        return build_chain(constraints)
    try:
        return registry.build(name)
    except InputError:
        known = ", ".join(registry.names())
        raise BenchError(f"there is no circuit {name!r}; choose one of: {known}, chain:N") from None


def build_chain(constraints: int) -> Circuit:
    """The longest chain of at most `constraints` constraints."""
    return repeat_chain(chain_name(constraints), constraints // LINK)


def statements(circuit: Circuit) -> Callable[[], dict[str, Any]]:
    """A function that returns the inputs of a fresh random statement of the circuit with every call."""
    if arity := re.fullmatch(r"spend_(\d+)x(\d+)", circuit.name):
        return _spends(int(arity[1]), int(arity[2]))
    return _insertions() if circuit.name == "insert_64" else _chains(circuit)


def _chains(circuit: Circuit) -> Callable[[], dict[str, Any]]:
    (length,) = next(signal.shape for signal in circuit.signals if signal.name == "item")

    def fresh() -> dict[str, Any]:
        start, *items = (secrets.randbelow(R) for _ in range(1 + length))
        output = start
        for item in items:
            (output,) = hash_pairs([(output, item)])
        return {"output": output, "start": start, "item": items}

    return fresh


def _tree() -> MerkleTree:
    tree = MerkleTree(hash_pairs)
    tree.insert_batch([secrets.randbelow(R) for _ in range(BATCH)])
    return tree


def _insertions() -> Callable[[], dict[str, Any]]:
    tree = _tree()

    def fresh() -> dict[str, Any]:
        batch = tree.insert_batch([secrets.randbelow(R) for _ in range(BATCH)])
        return InsertStatement.from_batch(batch).inputs()

    return fresh


def _spends(n_inputs: int, n_outputs: int) -> Callable[[], dict[str, Any]]:
    """Spends of so many notes: random parts to random owners, a random part out of the pool, the rest back.

    Keys are drawn, not derived from a seed as an account's are: a machine that only proves has no libraries for that.
    """
    tree = _tree()
    spending_key = 1 + secrets.randbelow(SUBGROUP_ORDER - 1)
    public_key = eddsa.public_key(spending_key)

    def own_note(token: int, amount: int) -> tuple[Note, int]:
        nullifying_key = secrets.randbelow(R)
        owner = poseidon([public_key.x, public_key.y, poseidon([nullifying_key])])
        return Note(token, amount, owner, random_blinding()), nullifying_key

    def fresh() -> dict[str, Any]:
        token = secrets.randbits(160)
        notes = [own_note(token, secrets.randbits(90)) for _ in range(n_inputs)]
        first = tree.insert_batch([note.commitment for note, _ in notes]).start_index
        spent = tuple(
            SpentNote(note, nullifying_key, first + i, tree.path(first + i))
            for i, (note, nullifying_key) in enumerate(notes)
        )
        rest = sum(note.amount for note, _ in notes)
        outputs = []
        for _ in range(n_outputs - 1):
            paid = secrets.randbelow(rest)
            outputs.append(Note(token, paid, secrets.randbelow(R), random_blinding()))
            rest -= paid
        withdrawn = secrets.randbelow(rest)
        outputs.append(own_note(token, rest - withdrawn)[0])
        public = SpendPublic.from_notes(tree.root, spent, outputs, withdrawn, secrets.randbelow(R))
        signature = eddsa.sign(spending_key, public.message())
        return SpendWitness(public, spent, tuple(outputs), public_key, signature).inputs()

    return fresh
