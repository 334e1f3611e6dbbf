"""What the makers of fixtures with real proofs share: accounts, a tree, engines that prove, and the form of values.

The proofs bind a chain and the addresses of the pool and the token, so a test that settles them creates both where they
are expected: by DEPLOYER, the verifier with nonce 0, the pool with 1 and the token with 2.
"""

import json
from collections.abc import Sequence
from typing import Any

from Crypto.Hash import keccak
from eth_account import Account as EvmAccount

from contracts.tools.make_fixtures import FIXTURES
from protocol.address import Address
from protocol.field import R
from protocol.keys import Account
from protocol.memo import encrypt
from protocol.merkle import MerkleTree
from protocol.note import Note, random_blinding
from protocol.statements import InsertStatement, SpendPublic, SpendWitness, SpentNote, bound_hash
from prover.engine import Engine
from prover.keys import default_directory, ensure_keys

CHAIN_ID = 31337
DEADLINE = 4_000_000_000
# Known to everybody, so that tests can sign with it.
DEPLOYER_KEY = (0xDE91).to_bytes(32, "big")
DEPLOYER = int(EvmAccount.from_key(DEPLOYER_KEY).address, 16)
RELAYER = 0x4E1A
BOBS_ETHEREUM_ADDRESS = 0xB0B
MNEMONIC = "test test test test test test test test test test test junk"
INSERT = "insert_64"

Output = tuple[Note, Address]


def created_address(nonce: int) -> int:
    """Return the address of the contract that DEPLOYER creates with this nonce (below 128): RLP of both, hashed."""
    encoded = b"\xd6\x94" + DEPLOYER.to_bytes(20, "big") + bytes([nonce or 0x80])
    return int.from_bytes(keccak.new(digest_bits=256, data=encoded).digest()[12:], "big")


POOL, TOKEN = created_address(1), created_address(2)


class Scenario:
    """The tree of a pool, and engines for `circuits` with this machine's development keys, made where missing."""

    def __init__(self, circuits: Sequence[str]) -> None:
        manifest = ensure_keys(default_directory(), circuits)
        self.engines = {name: Engine.load(name, manifest.zkey_path(name)) for name in circuits}
        self.tree = MerkleTree()
        self.accounts = [Account.from_mnemonic(MNEMONIC, index) for index in range(3)]

    def contracts(self) -> dict[str, Any]:
        """Return the addresses, and the verification keys by circuit."""
        keys = {name: hexadecimal(engine.verification_key.to_bytes()) for name, engine in self.engines.items()}
        return {"deployer": address(DEPLOYER), "pool": address(POOL), "token": address(TOKEN), "keys": keys}

    def own_note(self, account: Account, amount: int) -> Note:
        blinding = random_blinding()
        return Note(TOKEN, amount, account.address_for_note(blinding).owner, blinding)

    def own_output(self, account: Account, amount: int) -> Output:
        note = self.own_note(account, amount)
        return note, account.address_for_note(note.blinding)

    def payment(self, account: Account, amount: int) -> Output:
        """A note for the first address of an account, as somebody else makes it."""
        recipient = account.address(0)
        return Note(TOKEN, amount, recipient.owner, random_blinding()), recipient

    def spent(self, note: Note, nullifying_key: int, leaf_index: int) -> SpentNote:
        return SpentNote(note, nullifying_key, leaf_index, self.tree.path(leaf_index))

    def spent_own(self, account: Account, note: Note, leaf_index: int) -> SpentNote:
        return self.spent(note, account.nullifying_key_for_note(note.blinding), leaf_index)

    def spent_payment(self, account: Account, note: Note, leaf_index: int) -> SpentNote:
        return self.spent(note, account.nullifying_key_for_address(0), leaf_index)

    def deposit(self, account: Account, note: Note) -> dict[str, Any]:
        return {
            "amount": note.amount,
            "preCommitment": word(note.pre_commitment),
            "commitment": word(note.commitment),
            "memo": hexadecimal(encrypt(note, account.address_for_note(note.blinding))),
        }

    def insert(self, leaves: Sequence[int]) -> dict[str, Any]:
        statement = InsertStatement.from_batch(self.tree.insert_batch(list(leaves)))
        return {
            "newRoot": word(statement.public.new_root),
            "count": len(leaves),
            "proof": self.prove(INSERT, statement.public.inputs(), statement.inputs()),
        }

    def spend(
        self,
        circuit: str,
        account: Account,
        spent: Sequence[SpentNote],
        outputs: Sequence[Output],
        receiver: int = 0,
        public_amount: int = 0,
        fee: int = 0,
    ) -> dict[str, Any]:
        """Prove a spend of these notes and as many dummies of amount 0 as the circuit has room for."""
        n_inputs = int(circuit.removeprefix("spend_").partition("x")[0])
        dummies = [self.own_note(account, 0) for _ in range(n_inputs - len(spent))]
        spent = [*spent, *(SpentNote.dummy(note, account.nullifying_key_for_note(note.blinding)) for note in dummies)]
        memos = [encrypt(note, recipient) for note, recipient in outputs]
        notes = [note for note, _ in outputs]
        relayer = RELAYER if fee else 0
        bound = bound_hash(CHAIN_ID, POOL, receiver, relayer, fee, DEADLINE, memos)
        public = SpendPublic.from_notes(self.tree.root, spent, notes, public_amount, bound)
        signature = account.sign(public.message())
        witness = SpendWitness(public, tuple(spent), tuple(notes), account.public, signature)
        return {
            "proof": self.prove(circuit, public.inputs(), witness.inputs()),
            "root": word(public.root),
            "nullifiers": words(public.nullifiers),
            "commitments": words(public.commitments),
            "publicToken": word(public.public_token),
            "publicAmount": public.public_amount,
            "receiver": address(receiver),
            "relayer": address(relayer),
            "fee": fee,
            "deadline": DEADLINE,
            "memos": [hexadecimal(memo) for memo in memos],
        }

    def bobs_withdrawal(self, circuit: str, bob: Account, paid: Note, leaf_index: int) -> dict[str, Any]:
        """Bob withdraws 15 of the 40 that he was paid, 2 of them for the relayer, and keeps 25."""
        return self.spend(
            circuit,
            bob,
            [self.spent_payment(bob, paid, leaf_index)],
            [self.own_output(bob, 25), self.own_output(bob, 0)],
            receiver=BOBS_ETHEREUM_ADDRESS,
            public_amount=15,
            fee=2,
        )

    def prove(self, circuit: str, public_inputs: list[int], inputs: Any) -> str:
        engine = self.engines[circuit]
        witness = engine.solve(inputs)
        if engine.public_inputs(witness) != public_inputs:
            raise AssertionError("the witness is about other public inputs than the statement")
        return hexadecimal(engine.prove(witness).to_bytes())


def write(name: str, fixture: dict[str, Any]) -> None:
    (FIXTURES / name).write_text(json.dumps(fixture, indent=2) + "\n")


def word(value: int) -> str:
    if not 0 <= value < R:
        raise AssertionError("not a field element")
    return f"0x{value:064x}"


def words(values: Sequence[int]) -> str:
    return "0x" + "".join(word(value)[2:] for value in values)


def address(value: int) -> str:
    return f"0x{value:040x}"


def hexadecimal(data: bytes) -> str:
    return "0x" + data.hex()
