"""Write the fixture `payment.json`: a payment from deposit to withdrawal, with proofs of the real circuits.

    python -m contracts.tools.make_payment

Alice deposits 100, pays Bob 40 with 1 for the relayer, and Bob withdraws 15 with 2 for the relayer; two batches go into
the tree between. The keys are development keys (a local ceremony and setup), the proofs are random, so every run writes
another fixture; the Foundry tests ask only that they verify. Needs the proving engine, and about a minute.
"""

import json
from typing import Any

from Crypto.Hash import keccak

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
DEPLOYER = 0xDE91
BOBS_ETHEREUM_ADDRESS = 0xB0B
RELAYER = 0x4E1A
MNEMONIC = "test test test test test test test test test test test junk"


def created_address(nonce: int) -> int:
    """Return the address of the contract that DEPLOYER creates with this nonce (below 128): RLP of both, hashed."""
    encoded = b"\xd6\x94" + DEPLOYER.to_bytes(20, "big") + bytes([nonce or 0x80])
    return int.from_bytes(keccak.new(digest_bits=256, data=encoded).digest()[12:], "big")


POOL, TOKEN = created_address(1), created_address(2)


class Payment:
    """The accounts, the tree, and the engines that prove for them."""

    def __init__(self) -> None:
        manifest = ensure_keys(default_directory(), ["spend", "insert"])
        self.spend_engine = Engine.load("spend", manifest.zkey_path("spend_2x2"))
        self.insert_engine = Engine.load("insert", manifest.zkey_path("insert_64"))
        self.tree = MerkleTree()
        self.alice, self.bob = (Account.from_mnemonic(MNEMONIC, index) for index in (0, 1))

    def fixture(self) -> dict[str, Any]:
        deposit = self.own_note(self.alice, 100)
        first_insert = self.insert([deposit.commitment])
        for_bob = self.bob.address(0)
        paid = Note(TOKEN, 40, for_bob.owner, random_blinding())
        change = self.own_note(self.alice, 59)
        transact = self.spend(
            self.alice,
            self.spent(self.alice, deposit, self.alice.nullifying_key_for_note(deposit.blinding), 0),
            [(change, self.alice.address_for_note(change.blinding)), (paid, for_bob)],
            receiver=0,
            public_amount=1,
            fee=1,
        )
        second_insert = self.insert([change.commitment, paid.commitment])
        rest, empty = self.own_note(self.bob, 25), self.own_note(self.bob, 0)
        withdraw = self.spend(
            self.bob,
            self.spent(self.bob, paid, self.bob.nullifying_key_for_address(0), 65),
            [(note, self.bob.address_for_note(note.blinding)) for note in (rest, empty)],
            receiver=BOBS_ETHEREUM_ADDRESS,
            public_amount=15,
            fee=2,
        )
        return {
            "deployer": address(DEPLOYER),
            "pool": address(POOL),
            "token": address(TOKEN),
            "spendKey": hexadecimal(self.spend_engine.verification_key.to_bytes()),
            "insertKey": hexadecimal(self.insert_engine.verification_key.to_bytes()),
            "deposit": {
                "amount": deposit.amount,
                "preCommitment": word(deposit.pre_commitment),
                "commitment": word(deposit.commitment),
                "memo": hexadecimal(encrypt(deposit, self.alice.address_for_note(deposit.blinding))),
            },
            "firstInsert": first_insert,
            "transact": transact,
            "secondInsert": second_insert,
            "withdraw": withdraw,
        }

    def own_note(self, account: Account, amount: int) -> Note:
        blinding = random_blinding()
        return Note(TOKEN, amount, account.address_for_note(blinding).owner, blinding)

    def spent(self, account: Account, note: Note, nullifying_key: int, leaf_index: int) -> list[SpentNote]:
        """Return the note beside a dummy of amount 0."""
        dummy = self.own_note(account, 0)
        return [
            SpentNote(note, nullifying_key, leaf_index, self.tree.path(leaf_index)),
            SpentNote.dummy(dummy, account.nullifying_key_for_note(dummy.blinding)),
        ]

    def insert(self, leaves: list[int]) -> dict[str, Any]:
        statement = InsertStatement.from_batch(self.tree.insert_batch(leaves))
        return {
            "newRoot": word(statement.public.new_root),
            "count": len(leaves),
            "proof": self.prove(self.insert_engine, statement.public.inputs(), statement.inputs()),
        }

    def spend(
        self,
        account: Account,
        spent: list[SpentNote],
        outputs: list[tuple[Note, Address]],
        receiver: int,
        public_amount: int,
        fee: int,
    ) -> dict[str, Any]:
        memos = [encrypt(note, recipient) for note, recipient in outputs]
        notes = [note for note, _ in outputs]
        bound = bound_hash(CHAIN_ID, POOL, receiver, RELAYER, fee, DEADLINE, memos)
        public = SpendPublic.from_notes(self.tree.root, spent, notes, public_amount, bound)
        signature = account.sign(public.message())
        witness = SpendWitness(public, tuple(spent), tuple(notes), account.public, signature)
        return {
            "proof": self.prove(self.spend_engine, public.inputs(), witness.inputs()),
            "root": word(public.root),
            "nullifiers": words(public.nullifiers),
            "commitments": words(public.commitments),
            "publicToken": word(public.public_token),
            "publicAmount": public.public_amount,
            "receiver": address(receiver),
            "relayer": address(RELAYER),
            "fee": fee,
            "deadline": DEADLINE,
            "memos": [hexadecimal(memo) for memo in memos],
        }

    def prove(self, engine: Engine, public_inputs: list[int], inputs: Any) -> str:
        witness = engine.solve(inputs)
        if engine.public_inputs(witness) != public_inputs:
            raise AssertionError("the witness is about other public inputs than the statement")
        return hexadecimal(engine.prove(witness).to_bytes())


def word(value: int) -> str:
    if not 0 <= value < R:
        raise AssertionError("not a field element")
    return f"0x{value:064x}"


def words(values: tuple[int, ...]) -> str:
    return "0x" + "".join(word(value)[2:] for value in values)


def address(value: int) -> str:
    return f"0x{value:040x}"


def hexadecimal(data: bytes) -> str:
    return "0x" + data.hex()


def main() -> None:
    (FIXTURES / "payment.json").write_text(json.dumps(Payment().fixture(), indent=2) + "\n")


if __name__ == "__main__":
    main()
