"""The statement `insert`: a batch of leaves goes into an empty, aligned subtree, and nothing else moves.

The same 26 siblings and bits walk from the subtree to the old root (starting from the empty subtree) and to the new one
(starting from the leaves), so all other leaves stay. `startIndex = 64 * (26-bit number)` leaves no unaligned or
out-of-range start.

`challenge` is a free public input here. What ties the circuit's leaves to the contract's is that the contract computes
the challenge as a hash of oldRoot, *newRoot*, startIndex and its own leaves: newRoot fixes the circuit's leaves before
the challenge exists, so other leaves have the same evaluation with probability about 64/r (Schwartz-Zippel). A
challenge that leaves out newRoot is known before the leaves are chosen, and then false leaves are easily found; a test
does.
"""

from protocol.field import R
from protocol.merkle import BATCH, BATCH_LEVELS, DEPTH, ZEROS
from prover.circuit.builder import Builder
from prover.circuit.compile import Circuit, compile_circuit
from prover.circuit.gadgets.bits import to_bits
from prover.circuit.gadgets.hashing import Hash
from prover.circuit.gadgets.merkle import root_from_path, subtree_root
from prover.circuit.gadgets.poseidon import poseidon
from prover.circuit.linear import Operand

LEVELS_ABOVE = DEPTH - BATCH_LEVELS


def build_insert(name: str, hash_function: Hash = poseidon) -> Circuit:
    """The circuit; signals and their order are those of `protocol.statements`."""
    builder = Builder(name)
    old_root = builder.public_input("oldRoot")
    new_root = builder.public_input("newRoot")
    start_index = builder.public_input("startIndex")
    challenge = builder.public_input("challenge")
    evaluation = builder.public_input("evaluation")
    leaves = builder.private_inputs("leaf", BATCH)
    siblings = builder.private_inputs("sibling", LEVELS_ABOVE)

    with builder.scope("start index"):
        subtree_index = start_index * pow(BATCH, -1, R)
        bits = to_bits(builder, subtree_index, LEVELS_ABOVE)
    with builder.scope("old root"):
        root_from_path(builder, hash_function, ZEROS[BATCH_LEVELS], bits, siblings, old_root)
    with builder.scope("leaves"):
        subtree = subtree_root(builder, hash_function, leaves)
    with builder.scope("new root"):
        root_from_path(builder, hash_function, subtree, bits, siblings, new_root)
    with builder.scope("evaluation"):
        # Horner's rule; the last step is the demand itself.
        total: Operand = leaves[-1]
        for leaf in leaves[-2:0:-1]:
            total = builder.product(total, challenge) + leaf
        builder.constrain(total, challenge, evaluation - leaves[0])
    return compile_circuit(builder)
