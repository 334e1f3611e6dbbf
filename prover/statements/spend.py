"""The statement `spend`: notes are consumed and created, and nobody sees which.

`protocol.md` numbers what is proved; the scopes below name the same parts, and an unsatisfied witness is reported by
these names. Soundness choices that are not obvious:

- Input amounts carry no range check of their own: an input above 0 is a leaf, and leaves get there only from a deposit
  (the contract checks the amount) or as the output of another spend (checked here). Sums of a few 128-bit numbers stay
  far below r, so nothing wraps.
- An input of amount 0 skips membership only. Its owner, nullifier and signature are checked like any other's, so a
  dummy input cannot carry somebody else's nullifier.
- The 32 bits of leafIndex that walk the path are those that make up the number in the nullifier. A larger index has no
  such bits, so a leaf has one nullifier.
- Every public input enters M, which is signed, so none can be changed under a valid proof, and none is unconstrained.
- One `token` wire serves all notes: mixed tokens cannot even be written down.
"""

from protocol.merkle import DEPTH
from prover.circuit.builder import Builder
from prover.circuit.compile import Circuit, compile_circuit
from prover.circuit.gadgets.bits import assert_range, from_bits, is_nonzero, to_bits
from prover.circuit.gadgets.eddsa import assert_signature
from prover.circuit.gadgets.edwards import EdwardsPoint
from prover.circuit.gadgets.hashing import Hash
from prover.circuit.gadgets.merkle import root_from_path
from prover.circuit.gadgets.poseidon import poseidon
from prover.circuit.linear import LinearCombination, Operand

AMOUNT_BITS = 128


def build_spend(name: str, n_inputs: int, n_outputs: int, hash_function: Hash = poseidon) -> Circuit:
    """The circuit for this many input and output notes; signals and their order are those of `protocol.statements`."""
    builder = Builder(name)
    root = builder.public_input("root")
    nullifiers = builder.public_inputs("nullifier", n_inputs)
    commitments = builder.public_inputs("commitment", n_outputs)
    public_token = builder.public_input("publicToken")
    public_amount = builder.public_input("publicAmount")
    bound_hash = builder.public_input("boundHash")

    token = builder.private_input("token")
    in_amounts = builder.private_inputs("inAmount", n_inputs)
    in_blindings = builder.private_inputs("inBlinding", n_inputs)
    in_nullifying_keys = builder.private_inputs("inNullifyingKey", n_inputs)
    in_leaf_indices = builder.private_inputs("inLeafIndex", n_inputs)
    in_paths = builder.private_input_rows("inPath", n_inputs, DEPTH)
    public_key = EdwardsPoint(builder.private_input("ax"), builder.private_input("ay"))
    r8 = EdwardsPoint(builder.private_input("r8x"), builder.private_input("r8y"))
    s = builder.private_input("s")
    out_amounts = builder.private_inputs("outAmount", n_outputs)
    out_owners = builder.private_inputs("outOwner", n_outputs)
    out_blindings = builder.private_inputs("outBlinding", n_outputs)

    def note_commitment(
        amount: Operand, owner: Operand, blinding: Operand, commitment: Operand | None = None
    ) -> LinearCombination:
        pre_commitment = hash_function(builder, [owner, blinding])
        return hash_function(builder, [pre_commitment, token, amount], commitment)

    for i in range(n_inputs):
        with builder.scope(f"input {i}"):
            with builder.scope("owner"):
                key_hash = hash_function(builder, [in_nullifying_keys[i]])
                owner = hash_function(builder, [*public_key, key_hash])
            with builder.scope("commitment"):
                commitment = note_commitment(in_amounts[i], owner, in_blindings[i])
            with builder.scope("leaf index"):
                index_bits = to_bits(builder, in_leaf_indices[i], DEPTH)
            with builder.scope("nullifier"):
                hash_function(builder, [commitment, in_nullifying_keys[i], from_bits(index_bits)], nullifiers[i])
            with builder.scope("membership"):
                computed = root_from_path(builder, hash_function, commitment, index_bits, in_paths[i])
                builder.constrain(computed - root, in_amounts[i], 0)

    for i in range(n_outputs):
        with builder.scope(f"output {i}"):
            with builder.scope("amount"):
                assert_range(builder, out_amounts[i], AMOUNT_BITS)
            with builder.scope("commitment"):
                note_commitment(out_amounts[i], out_owners[i], out_blindings[i], commitments[i])

    with builder.scope("public amount"):
        assert_range(builder, public_amount, AMOUNT_BITS)
    with builder.scope("public token"):
        builder.constrain(is_nonzero(builder, public_amount), token, public_token)
    with builder.scope("balance"):
        builder.constrain_equal(sum(in_amounts), sum(out_amounts) + public_amount)

    with builder.scope("signature"):
        with builder.scope("message"):
            publics = [root, *nullifiers, *commitments, public_token, public_amount, bound_hash]
            message = hash_function(builder, publics)
        assert_signature(builder, hash_function, public_key, message, r8, s)
    return compile_circuit(builder)
