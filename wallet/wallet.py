"""The wallet: one account, one pool, one file.

    with Wallet.open("alice.db", mnemonic, pool=pool, prover=prover) as wallet:
        wallet.deposit(token, 100)
        wallet.sync()
        wallet.send(address, token, 40)

The file holds no key and is sealed under one derived from the viewing key. Keep the mnemonic: with the chain it
restores everything but the labels of addresses. `wallet.keystore` keeps keys under a passphrase.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from eth_utils import is_address, to_canonical_address, to_checksum_address

from chain.errors import ChainError, MismatchError, NotMinedError, RevertedError
from chain.events import EventPage
from chain.pool import NOBODY, Pool
from chain.pool import Spend as SpendCall
from chain.proving import ProofSource, Proven
from chain.rpc import rpc_errors
from chain.sender import Receipt
from chain.tree import PoolTree
from protocol.address import Address
from protocol.field import to_bytes32
from protocol.keys import Account, FullViewingKey
from protocol.memo import TEXT_BYTES, SentRecord, encrypt
from protocol.merkle import HashPairs
from protocol.note import AMOUNT_BITS
from protocol.statements import SpentNote
from wallet.coins import Coin, choose, choose_to_merge
from wallet.errors import InsufficientFundsError, ProvingError, RequestError, ViewOnlyError, WalletError
from wallet.payments import Payment
from wallet.scanner import OpenMemos, Scanner, open_memos
from wallet.sealed import file_key
from wallet.spend import Output, PreparedSpend, Terms, build_spend, evm_recipient, payment, to_oneself
from wallet.store import HistoryEntry, Store, StoredNote, token_text

PROOF_BYTES = 256
DEADLINE_SECONDS = 20 * 60
PERMIT_SECONDS = 20 * 60


Progress = Callable[[int, int], None]
"""Told how many blocks are read, of how many."""


@dataclass(frozen=True)
class Balance:
    """What an account owns of one token, in its smallest unit.

    `spendable` now; `pending` as soon as a tree update includes it; `reserved` when an unfinished payment settles (then
    it is gone, save the change) or its deadline passes.
    """

    spendable: int = 0
    pending: int = 0
    reserved: int = 0

    @property
    def total(self) -> int:
        return self.spendable + self.pending + self.reserved


@dataclass(frozen=True)
class Resumed:
    """What came of sending a payment again: its receipt, or why there is none."""

    payment: Payment
    receipt: Receipt | None
    problem: str = ""


@dataclass(frozen=True)
class Settled:
    """A spend that the pool accepted: its transaction, its proof as the proof source returned it, and the spend."""

    receipt: Receipt
    proof: Proven
    spend: PreparedSpend


class Wallet:
    """See the module. Errors are WalletError, ChainError or ProtocolError, each saying what to do.

    Not for use by several threads, and one program at a time per file.
    """

    def __init__(
        self,
        path: Path | str,
        keys: FullViewingKey,
        *,
        pool: Pool,
        prover: ProofSource | None = None,
        hash_pairs: HashPairs | None = None,
        open_memos: OpenMemos = open_memos,
        confirmations: int = 0,
    ) -> None:
        """`keys` may be an Account, or a FullViewingKey for a wallet that sees everything and can spend nothing.

        The file at `path` is made if it is not there and belongs to this account and pool from then on. `hash_pairs`
        hashes many tree nodes at once and `open_memos` tries many memos; give fast ones when the pool is large.
        `sync` leaves out the newest `confirmations` blocks, which may still be replaced.
        """
        self.keys = keys
        self.pool = pool
        self._prover = prover
        self._hash_pairs = hash_pairs
        self._tree: PoolTree | None = None
        self._tree_cursor: tuple[int, str] | None = None
        self._now = 0
        self._confirmations = confirmations
        belongs_to = {"pool": f"{pool.chain_id}:{pool.address}", "account": _fingerprint(keys)}
        self._store = Store(path, file_key(keys), belongs_to)
        self._scanner = Scanner(keys, self._store, open_memos)

    @classmethod
    def open(
        cls,
        path: Path | str,
        mnemonic: str,
        *,
        pool: Pool,
        prover: ProofSource | None = None,
        account: int = 0,
        passphrase: str = "",
        hash_pairs: HashPairs | None = None,
        confirmations: int = 0,
    ) -> "Wallet":
        """Open the wallet of account number `account` of a BIP-39 mnemonic."""
        keys = Account.from_mnemonic(mnemonic, account, passphrase)
        return cls(path, keys, pool=pool, prover=prover, hash_pairs=hash_pairs, confirmations=confirmations)

    def close(self) -> None:
        self._store.close()

    def __enter__(self) -> "Wallet":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Receiving and looking

    def new_address(self, label: str = "") -> str:
        """A fresh address. Give every payer another one: payers who compare notes cannot link them, and a prover that
        spends a note for you learns nothing about notes received elsewhere. `label` stays in this file.
        """
        with self._store.transaction():
            index = self._store.issue_address(label)
        return self.keys.address(index).encode()

    def addresses(self) -> list[tuple[str, str]]:
        """The issued addresses with their labels."""
        return [(self.keys.address(index).encode(), label) for index, label in self._store.addresses()]

    def balance(self, token: str) -> Balance:
        """As of the last `sync`."""
        spendable = pending = reserved = 0
        for stored in self._store.unspent(_token(token)):
            if stored.leaf_index is None:
                pending += stored.note.amount
            elif stored.reserved:
                reserved += stored.note.amount
            else:
                spendable += stored.note.amount
        return Balance(spendable, pending, reserved)

    def balances(self) -> dict[str, Balance]:
        """The balance of every token of which there is an unspent note, by the token's address."""
        return {token: self.balance(token) for token in self._store.tokens()}

    def notes(self) -> list[StoredNote]:
        """Every note this account ever had, spent ones too, oldest first, as of the last `sync`."""
        return self._store.notes()

    def payments(self) -> list[Payment]:
        """The payments that were signed and not seen settled, as of the last `sync`; see `resume`."""
        return self._store.payments()

    def synced_to(self) -> int | None:
        """The number of the last block read; None before the first `sync`."""
        cursor = self._store.cursor()
        return None if cursor is None else cursor[0]

    def history(self) -> list[HistoryEntry]:
        """What happened, oldest first, as of the last `sync`."""
        return self._store.history()

    @property
    def root(self) -> int:
        """Root of the tree that this wallet rebuilt from the pool's events, as of the last `sync`."""
        return self._loaded_tree().root

    # Following the chain

    def sync(self, progress: Progress | None = None) -> int:
        """Read what is new on the chain; returns the number of the last block read.

        Can be repeated and interrupted at any time: it goes on after the last page it read. When blocks that were read
        are no longer part of the chain, everything is read again, and what was known stays until that succeeded. Raises
        MismatchError when the events do not lead to the contract's state: nothing may be spent on such a view.
        """
        progress = progress or (lambda done, total: None)
        cursor = self._store.cursor()
        if cursor is not None and self.pool.block_hash(cursor[0]) != cursor[1]:
            head = self._read_again(progress)
        else:
            try:
                head = self._read_on(cursor, progress)
            except MismatchError:
                # Blocks replaced while they were read look like this. Only a mismatch that stays is one.
                head = self._read_again(progress)
        self._now = self.pool.now()
        if head >= self.pool.deployed_at:
            # Of the last block read, not of the newest: a payment in the blocks between may have settled in time.
            time = self._time_of(head)
            with self._store.transaction():
                self._store.release_expired(time)
        return head

    def _head(self) -> int:
        """The block up to which to read."""
        return max(self.pool.block_number() - self._confirmations, 0)

    def _read_on(self, cursor: tuple[int, str] | None, progress: Progress) -> int:
        head = self._head()
        first = self.pool.deployed_at if cursor is None else cursor[0] + 1
        if head < first:
            return head if cursor is None else cursor[0]
        for page in self.pool.pages(first, head):
            with self._writing() as tree:
                self._take(tree, page)
            progress(page.last_block - first + 1, head - first + 1)
        self._loaded_tree().check(self.pool, head)
        return head

    def _read_again(self, progress: Progress) -> int:
        with self._writing(forget=True) as tree:
            head, first = self._head(), self.pool.deployed_at
            if head < first:
                return head
            for page in self.pool.pages(first, head):
                self._take(tree, page)
                progress(page.last_block - first + 1, head - first + 1)
            tree.check(self.pool, head)
        return head

    def _time_of(self, block: int) -> int:
        with rpc_errors():
            return self.pool.w3.eth.get_block(block)["timestamp"]

    def _take(self, tree: PoolTree, page: EventPage) -> None:
        self._scanner.apply(tree, page.events)
        self._store.set_cursor(page.last_block, page.last_hash)

    @contextlib.contextmanager
    def _writing(self, forget: bool = False) -> Iterator[PoolTree]:
        """A transaction of the store together with the tree in memory: on an error neither has changed."""
        with self._store.transaction():
            if forget:
                self._store.forget_chain()
            tree = PoolTree(self._hash_pairs) if forget else self._loaded_tree()
            self._tree = None
            yield tree
            self._tree_cursor = self._store.cursor()
        self._tree = tree

    def _loaded_tree(self) -> PoolTree:
        """The tree as of the stored cursor, rebuilt from the file when memory has another one or none."""
        cursor = self._store.cursor()
        if self._tree is None or self._tree_cursor != cursor:
            batches, root = self._store.batches()
            self._tree = PoolTree.from_history(self._store.queue(), batches, root, self._hash_pairs)
            self._tree_cursor = cursor
        return self._tree

    # Paying

    def deposit(self, token: str, amount: int, *, permit: bool = False) -> Receipt:
        """Move `amount` of `token` from the pool client's EVM account into the pool, as a note to oneself.

        Approves exactly the amount first where the allowance is smaller, or, with `permit`, sends an EIP-2612 signature
        along. The note can be spent after the next tree update.
        """
        token = _token(token)
        _check_amount(amount)
        coins = self.pool.token(token)
        if self.pool.account is None:
            raise RequestError("a deposit needs an EVM account that pays it: give the pool client one")
        held = coins.balance_of(self.pool.account.address)
        if held < amount:
            raise InsufficientFundsError(f"the EVM account holds {held} of this token, the deposit needs {amount}")
        output = to_oneself(self.keys, int(token, 16), amount)
        memo = encrypt(output.note, output.address)
        if permit:
            signature = coins.sign_permit(self.pool.address, amount, self.pool.now() + PERMIT_SECONDS)
            return self.pool.deposit_with_permit(token, amount, output.note.pre_commitment, memo, signature)
        allowance = coins.allowance(self.pool.account.address, self.pool.address)
        if allowance < amount:
            if allowance:
                coins.approve(self.pool.address, 0)  # some tokens, USDT for one, refuse to change a standing allowance
            coins.approve(self.pool.address, amount)
        return self.pool.deposit(token, amount, output.note.pre_commitment, memo)

    def send(
        self, address: str, token: str, amount: int, *, text: str = "", fee: int = 0, relayer: str = NOBODY
    ) -> Settled:
        """Pay `amount` privately to a Gelap address; `text` (at most 106 bytes of UTF-8) is for the recipient only."""
        return self._settle(self.prepare_send(address, token, amount, text=text, fee=fee, relayer=relayer))

    def withdraw(self, receiver: str, token: str, amount: int, *, fee: int = 0, relayer: str = NOBODY) -> Settled:
        """Pay `amount` out to the EVM address `receiver`: receiver, token and amount become public."""
        return self._settle(self.prepare_withdraw(receiver, token, amount, fee=fee, relayer=relayer))

    def consolidate(self, token: str, *, fee: int = 0, relayer: str = NOBODY) -> Settled:
        """Merge the two largest notes of a token into one, so that a larger payment becomes possible."""
        return self._settle(self.prepare_consolidate(token, fee=fee, relayer=relayer))

    # The same in steps: prepare, prove, submit

    def prepare_send(
        self,
        address: str,
        token: str,
        amount: int,
        *,
        text: str = "",
        fee: int = 0,
        relayer: str = NOBODY,
        reserve: bool = True,
    ) -> PreparedSpend:
        """Build and sign a payment and reserve its notes until its deadline; see `prove`, `submit` and `abandon`.

        Catches up with the chain first, as every `prepare_` method does. Without `reserve` nothing is written down: to
        look at a payment that is not to be made.
        """
        _check_amount(amount)
        recipient = Address.decode(address)
        if recipient.owner == 0:
            # It would burn the money, and stand in the history as a withdrawal: see `evm_recipient`.
            raise RequestError("nobody can spend what is paid to this address: ask the recipient for another one")
        encoded = text.encode()
        if len(encoded) > TEXT_BYTES:
            raise RequestError(f"the text is {len(encoded)} bytes of UTF-8, at most {TEXT_BYTES} fit")
        account, terms = self._begin(NOBODY, fee, relayer)
        token = _token(token)
        notes = self._choose(token, amount + fee)
        output = payment(recipient, int(token, 16), amount, encoded)
        plan = _Plan("send", output, SentRecord(recipient, amount), fee, address)
        return self._build(account, terms, notes, plan, reserve)

    def prepare_withdraw(
        self,
        receiver: str,
        token: str,
        amount: int,
        *,
        fee: int = 0,
        relayer: str = NOBODY,
        reserve: bool = True,
    ) -> PreparedSpend:
        """Build and sign a withdrawal; see `prepare_send`."""
        _check_amount(amount)
        receiver = _evm_address(receiver, "receiver")
        if receiver in (NOBODY, self.pool.address):
            raise RequestError("a withdrawal needs a receiver that is neither the zero address nor the pool")
        account, terms = self._begin(receiver, fee, relayer)
        token = _token(token)
        notes = self._choose(token, amount + fee)
        record = SentRecord(evm_recipient(receiver), amount)
        output = to_oneself(account, int(token, 16), 0)
        plan = _Plan("withdraw", output, record, amount + fee, receiver)
        return self._build(account, terms, notes, plan, reserve)

    def prepare_consolidate(
        self, token: str, *, fee: int = 0, relayer: str = NOBODY, reserve: bool = True
    ) -> PreparedSpend:
        """Build and sign the merging of the two largest notes; see `prepare_send`."""
        account, terms = self._begin(NOBODY, fee, relayer)
        token = _token(token)
        spendable, _ = self._spendable(token)
        chosen = {coin.position for coin in choose_to_merge(_coins(spendable))}
        notes = [stored for stored in spendable if stored.position in chosen]
        merged = sum(stored.note.amount for stored in notes) - fee
        _check_amount(merged)
        output = to_oneself(account, int(token, 16), merged)
        plan = _Plan("consolidate", output, SentRecord(output.address, merged), fee, "")
        return self._build(account, terms, notes, plan, reserve)

    def prove(self, spend: PreparedSpend) -> Proven:
        """Have a prepared spend proved. The public inputs asked for are the wallet's own, never the prover's."""
        if self._prover is None:
            raise ProvingError("this wallet has no prover: open it with a RemoteProver or a LocalProver")
        proof = self._prover.prove(spend.circuit, spend.public_inputs, spend.inputs)
        if len(proof.proof) != PROOF_BYTES:
            raise ProvingError(f"the prover returned {len(proof.proof)} bytes instead of a proof of {PROOF_BYTES}")
        return proof

    def submit(self, spend: PreparedSpend, proof: Proven) -> Receipt:
        """Settle a proved spend on chain. A wrong proof is refused by the contract before any gas is paid."""
        call = spend.call(proof.proof)
        # Before it is sent: whatever happens from here on, `resume` can send it again.
        with self._store.transaction():
            for payment in self._store.payments():
                if payment.nullifiers == spend.reserved:
                    self._store.keep_payment(payment.proved(call))
        return self._send(call)

    def resume(self) -> list[Resumed]:
        """Send the proved payments again that were not seen settled, after a crash or a reorganisation.

        A payment can settle only once, so sending it again is safe. One that was signed and not proved cannot be
        resumed: its notes come back when its deadline has passed. Call `sync` first.
        """
        return [self._resume(payment, payment.call) for payment in self.payments() if payment.call is not None]

    def _resume(self, payment: Payment, call: SpendCall) -> Resumed:
        try:
            return Resumed(payment, self._send(call))
        except RevertedError as error:
            if error.name == "NullifierAlreadyUsed":
                return Resumed(payment, None, "settled already; it leaves the list with the next synchronisation")
            return Resumed(payment, None, str(error))
        except ChainError as error:
            return Resumed(payment, None, str(error))

    def _send(self, call: SpendCall) -> Receipt:
        return self.pool.transact(call) if call.receiver == NOBODY else self.pool.withdraw(call)

    def abandon(self, spend: PreparedSpend) -> None:
        """Free the notes of a prepared spend that is not to be submitted.

        Whoever proved it can still settle it until its deadline. Paying the same again takes the same notes, so that
        only one of the two can settle, unless other notes arrived meanwhile: then wait for the deadline first.
        """
        with self._store.transaction():
            self._store.release(list(spend.reserved))
            self._store.forget_payment(spend.reserved)

    def _settle(self, spend: PreparedSpend) -> Settled:
        try:
            proof = self.prove(spend)
            receipt = self.submit(spend, proof)
        except NotMinedError:
            raise  # it may still land: its notes stay reserved until its deadline
        except BaseException:
            self.abandon(spend)
            raise
        return Settled(receipt, proof, spend)

    def _begin(self, receiver: str, fee: int, relayer: str) -> tuple[Account, Terms]:
        if not isinstance(self.keys, Account):
            raise ViewOnlyError("this wallet can only look: open it with the mnemonic to pay")
        relayer = _evm_address(relayer, "relayer")
        if fee < 0 or (fee > 0) != (relayer != NOBODY):
            raise RequestError("a fee above 0 and a relayer that gets it go together")
        self.sync()
        # As asked by `sync`: a question of its own would tell the node that a payment is being made.
        deadline = self._now + DEADLINE_SECONDS
        return self.keys, Terms(self.pool.chain_id, self.pool.address, deadline, receiver, relayer, fee)

    def _spendable(self, token: str) -> tuple[list[StoredNote], int]:
        """The notes that can be spent now, and the amount of those that cannot yet."""
        unspent = self._store.unspent(token)
        spendable = [stored for stored in unspent if stored.leaf_index is not None and not stored.reserved]
        waiting = sum(stored.note.amount for stored in unspent) - sum(stored.note.amount for stored in spendable)
        return spendable, waiting

    def _choose(self, token: str, amount: int) -> list[StoredNote]:
        spendable, waiting = self._spendable(token)
        chosen = {coin.position for coin in choose(_coins(spendable), amount, waiting)}
        return [stored for stored in spendable if stored.position in chosen]

    def _build(
        self, account: Account, terms: Terms, notes: list[StoredNote], plan: "_Plan", reserve: bool
    ) -> PreparedSpend:
        tree = self._loaded_tree()
        spent = [self._spent(tree, stored) for stored in notes]
        spend = build_spend(account, terms, tree.root, spent, plan.output, plan.record, plan.public_amount)
        if reserve:
            token = token_text(plan.output.note.token)
            payment = Payment(
                plan.kind, token, plan.record.amount, terms.fee, plan.counterparty, terms.deadline, spend.reserved
            )
            with self._store.transaction():
                self._store.reserve(list(spend.reserved), terms.deadline)
                self._store.keep_payment(payment)
        return spend

    def _spent(self, tree: PoolTree, stored: StoredNote) -> SpentNote:
        if stored.leaf_index is None:
            raise WalletError(f"the note at queue position {stored.position} is not in the tree yet")
        key = self._scanner.nullifying_key(stored)
        return SpentNote(stored.note, key, stored.leaf_index, tree.path(stored.leaf_index))


@dataclass(frozen=True)
class _Plan:
    """What a spend is to do: its output, the record for ourselves, and what leaves the pool (the fee included)."""

    kind: str
    output: Output
    record: SentRecord
    public_amount: int
    counterparty: str


def _coins(notes: list[StoredNote]) -> list[Coin]:
    return [Coin(stored.position, stored.note.amount) for stored in notes]


def _fingerprint(keys: FullViewingKey) -> str:
    """Names an account without saying which: the file alone does not link it to the account's public key."""
    secret = to_bytes32(keys.public.x) + to_bytes32(keys.public.y) + keys.viewing_key
    return hashlib.sha256(b"gelap/v1/wallet" + secret).hexdigest()


def _check_amount(amount: int) -> None:
    if not 0 < amount < 1 << AMOUNT_BITS:
        raise RequestError("an amount must be above 0 and below 2^128, in the token's smallest unit")


def _evm_address(text: str, what: str) -> str:
    if not is_address(text):
        raise RequestError(f"the {what} must be an EVM address: 0x and 40 hexadecimal digits")
    return to_checksum_address(text)


def _token(text: str) -> str:
    address = _evm_address(text, "token")
    if not any(to_canonical_address(address)):
        raise RequestError("the token must be an ERC-20 contract, not the zero address")
    return address
