"""The wallet: one account, one pool, one file.

    with Wallet.open("alice.db", mnemonic, pool=pool, prover=prover) as wallet:
        wallet.deposit(token, 100)
        wallet.sync()
        wallet.send(address, token, 40)

The file holds no key and is sealed under one derived from the viewing key. Keep the mnemonic: with the chain it
restores everything but the labels of addresses. `wallet.keystore` keeps keys under a passphrase.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

from chain.errors import ChainError, NotMinedError
from chain.pool import NOBODY, Pool
from chain.proving import ProofSource, Proven
from chain.relayer.quote import Kind, SignedQuote
from chain.sender import Receipt
from protocol.keys import Account, FullViewingKey
from protocol.merkle import HashPairs
from wallet.checks import token_address
from wallet.depositing import make_deposit
from wallet.errors import ProvingError, RequestError
from wallet.following import PoolFollower, open_store
from wallet.notes import Balance, NoteManager, Progress
from wallet.payments import Payment
from wallet.preparing import DEADLINE_SECONDS, Paying, Preparation, Prepared
from wallet.scanner import OpenMemos, Scanner, open_memos
from wallet.settling import Resumed, Settled, Settlement
from wallet.sources import EventSource, Lag, OnLag
from wallet.spend import PreparedSpend
from wallet.store import HistoryEntry, StoredNote
from wallet.transactions import TransactionBuilder

if TYPE_CHECKING:
    from chain.relayer.client import RelayerClient

__all__ = ["DEADLINE_SECONDS", "Balance", "Lag", "Progress", "Resumed", "Settled", "Wallet"]

PROOF_BYTES = 256


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
        source: EventSource | None = None,
        on_lag: OnLag | None = None,
    ) -> None:
        """`keys` may be an Account, or a FullViewingKey for a wallet that sees everything and can spend nothing.

        The file at `path` is made if it is not there and belongs to this account and pool from then on. `hash_pairs`
        hashes many tree nodes at once and `open_memos` tries many memos; give fast ones when the pool is large.
        `sync` leaves out the newest `confirmations` blocks, which may still be replaced.

        `source` is where the pool's events are read, the pool's node unless told; whatever it is, what it serves is
        checked against the contract through the node. `on_lag` is told after a `sync` whose source was behind.
        """
        self.keys = keys
        self.pool = pool
        self._prover = prover
        self._store = open_store(path, keys, pool)
        scanner = Scanner(keys, self._store, open_memos)
        self._follower = PoolFollower(
            pool,
            self._store,
            scanner,
            hash_pairs=hash_pairs,
            confirmations=confirmations,
            source=source,
            on_lag=on_lag,
        )
        self._notes = NoteManager(keys, self._store, self._follower)
        self._builder = TransactionBuilder(keys, pool.chain_id, pool.address)
        self._preparation = Preparation(self._notes, self._builder, pool, prover, self._catch_up)
        self._settlement = Settlement(self._store, pool)

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
        source: EventSource | None = None,
        on_lag: OnLag | None = None,
    ) -> Self:
        """Open the wallet of account number `account` of a BIP-39 mnemonic."""
        keys = Account.from_mnemonic(mnemonic, account, passphrase)
        return cls(
            path,
            keys,
            pool=pool,
            prover=prover,
            hash_pairs=hash_pairs,
            confirmations=confirmations,
            source=source,
            on_lag=on_lag,
        )

    def close(self) -> None:
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Receiving and looking

    def new_address(self, label: str = "") -> str:
        """A fresh address. Give every payer another one: a prover that spends a note for you then recognises no spend
        of notes received at the others, and payers who compare theirs cannot tell that they are of one account.
        `label` stays in this file.
        """
        with self._store.transaction():
            index = self._store.issue_address(label)
        return self.keys.address(index).encode()

    def addresses(self) -> list[tuple[str, str]]:
        """The issued addresses with their labels."""
        return [(self.keys.address(index).encode(), label) for index, label in self._store.addresses()]

    def balance(self, token: str) -> Balance:
        """As of the last `sync`."""
        return self._notes.balance(token)

    def balances(self) -> dict[str, Balance]:
        """The balance of every token of which there is an unspent note, by the token's address."""
        return self._notes.balances()

    def notes(self) -> list[StoredNote]:
        """Every note this account ever had, spent ones too, oldest first, as of the last `sync`."""
        return self._notes.all()

    def payments(self) -> list[Payment]:
        """The payments that were signed and not seen settled, as of the last `sync`; see `resume`."""
        return self._settlement.payments()

    def synced_to(self) -> int | None:
        """The number of the last block read; None before the first `sync`."""
        cursor = self._store.cursor()
        return None if cursor is None else cursor[0]

    def lag(self) -> Lag:
        """How far the source of events was behind the node at the last `sync`."""
        return self._follower.lag

    def history(self) -> list[HistoryEntry]:
        """What happened, oldest first, as of the last `sync`."""
        return self._store.history()

    @property
    def root(self) -> int:
        """Root of the tree that this wallet rebuilt from the pool's events, as of the last `sync`."""
        return self._follower.tree.root

    def sync(self, progress: Progress | None = None) -> int:
        """Read what is new on the chain; returns the number of the last block read.

        Can be repeated and interrupted at any time: it goes on after the last page it read. When blocks that were read
        are no longer part of the chain, everything is read again, and what was known stays until that succeeded. Raises
        MismatchError when the events do not lead to the contract's state: nothing may be spent on such a view; and
        SourceError for a source of events that cannot be used. Nothing was written down then.
        """
        last = self._notes.sync(progress)
        self.pool.arities()  # known from now on: asking when a payment needs it would tell the node of the payment
        return last

    # Paying

    def deposit(self, token: str, amount: int, *, permit: bool = False) -> Receipt:
        """Move `amount` of `token` from the pool client's EVM account into the pool, as a note to oneself.

        Approves exactly the amount first where the allowance is smaller, or, with `permit`, sends an EIP-2612 signature
        along. The note can be spent after the next tree update.
        """
        payer = NOBODY if self.pool.account is None else self.pool.account.address
        return make_deposit(self.pool, self._builder.deposit(token, amount, payer), permit=permit)

    def send(
        self,
        address: str,
        token: str,
        amount: int,
        *,
        text: str = "",
        fee: int = 0,
        relayer: str = NOBODY,
        via: "RelayerClient | None" = None,
        max_fee: int | None = None,
        private_fee: bool = False,
    ) -> Settled:
        """Pay `amount` privately to a Gelap address; `text` (at most 90 bytes of UTF-8) is for the recipient only.

        `via` a relayer nobody sees an EVM account of yours: it is asked for a quote, of at most `max_fee`, or `amount`
        where that is not given, and gets it on chain, or with `private_fee` by a note of its own, which hides token and
        fee and shows a third output. The receipt is what the wallet's own node shows. When the relayer refuses, fails
        or disappears, RelayerError says so, and the payment is kept: see `resume`.
        """
        kind: Kind = "transact-note" if private_fee else "transact"

        def prepare(quote: SignedQuote | None) -> PreparedSpend:
            return self.prepare_send(
                address, token, amount, text=text, fee=fee, relayer=relayer, quote=quote, max_fee=max_fee
            )

        return self._settle(prepare, token, kind, via)

    def withdraw(
        self,
        receiver: str,
        token: str,
        amount: int,
        *,
        fee: int = 0,
        relayer: str = NOBODY,
        via: "RelayerClient | None" = None,
        max_fee: int | None = None,
    ) -> Settled:
        """Pay `amount` out to the EVM address `receiver`: receiver, token and amount become public. See `send`."""

        def prepare(quote: SignedQuote | None) -> PreparedSpend:
            return self.prepare_withdraw(
                receiver, token, amount, fee=fee, relayer=relayer, quote=quote, max_fee=max_fee
            )

        return self._settle(prepare, token, "withdraw", via)

    def consolidate(
        self,
        token: str,
        *,
        most: int | None = None,
        fee: int = 0,
        relayer: str = NOBODY,
        via: "RelayerClient | None" = None,
        max_fee: int | None = None,
        private_fee: bool = False,
    ) -> Settled:
        """Merge the largest notes of a token into one, so that a larger payment becomes possible.

        Up to eight at once where pool and prover have a circuit for it, else two; `most` 2 merges two in any case, in a
        transaction that looks like a payment. With a relayer (see `send`) `max_fee` is half of what is merged where it
        is not given; a fee by a note leaves room for two notes.
        """
        kind: Kind = "transact-note" if private_fee else "transact"
        if via is not None and not private_fee:
            self.sync()
            kind = self._preparation.merging_kind(token_address(token), most)

        def prepare(quote: SignedQuote | None) -> PreparedSpend:
            return self.prepare_consolidate(token, most=most, fee=fee, relayer=relayer, quote=quote, max_fee=max_fee)

        return self._settle(prepare, token, kind, via)

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
        quote: SignedQuote | None = None,
        max_fee: int | None = None,
        reserve: bool = True,
    ) -> PreparedSpend:
        """Build and sign a payment and reserve its notes until its deadline; see `prove`, `submit` and `abandon`.

        Catches up with the chain first, as every `prepare_` method does. A relayer's `quote` names fee and relayer; it
        is checked before anything is signed. Without `reserve` nothing is written down: to look at a payment that is
        not to be made.
        """
        paying = Paying(fee, relayer, quote, max_fee)
        return self._keep(self._preparation.transfer(address, token, amount, text, paying), reserve)

    def prepare_withdraw(
        self,
        receiver: str,
        token: str,
        amount: int,
        *,
        fee: int = 0,
        relayer: str = NOBODY,
        quote: SignedQuote | None = None,
        max_fee: int | None = None,
        reserve: bool = True,
    ) -> PreparedSpend:
        """Build and sign a withdrawal; see `prepare_send`."""
        paying = Paying(fee, relayer, quote, max_fee)
        return self._keep(self._preparation.withdrawal(receiver, token, amount, paying), reserve)

    def prepare_consolidate(
        self,
        token: str,
        *,
        most: int | None = None,
        fee: int = 0,
        relayer: str = NOBODY,
        quote: SignedQuote | None = None,
        max_fee: int | None = None,
        reserve: bool = True,
    ) -> PreparedSpend:
        """Build and sign the merging of the largest notes; see `consolidate` and `prepare_send`."""
        paying = Paying(fee, relayer, quote, max_fee)
        return self._keep(self._preparation.consolidation(token, most, paying), reserve)

    def prove(self, spend: PreparedSpend) -> Proven:
        """Have a prepared spend proved. The public inputs asked for are the wallet's own, never the prover's."""
        if self._prover is None:
            raise ProvingError("this wallet has no prover: open it with a RemoteProver or a LocalProver")
        proof = self._prover.prove(spend.circuit, spend.public_inputs, spend.inputs)
        if len(proof.proof) != PROOF_BYTES:
            raise ProvingError(f"the prover returned {len(proof.proof)} bytes instead of a proof of {PROOF_BYTES}")
        return proof

    def submit(
        self,
        spend: PreparedSpend,
        proof: Proven,
        *,
        via: "RelayerClient | None" = None,
        quote: SignedQuote | None = None,
    ) -> Receipt:
        """Settle a proved spend on chain, from the pool client's account or `via` the relayer that gave `quote`.

        A wrong proof is refused by the contract before any gas is paid. When a relayer refuses, fails or disappears,
        the payment is kept: see `resume`.
        """
        return self._settlement.submit(spend, proof, via, quote)

    def resume(self, *, via: "RelayerClient | None" = None) -> list[Resumed]:
        """Send the proved payments again that were not seen settled: after a crash, a reorganisation, or a relayer that
        failed.

        They are sent from the pool client's account, which everybody sees then, and a relayer's fee is paid all the
        same: proofs bind it. `via` a relayer, the payments that were for it go to it again. A payment can settle only
        once, so sending it again is safe. One that was signed and not proved cannot be resumed: its notes come back
        when its deadline has passed. Call `sync` first.
        """
        return self._settlement.resume(via)

    def abandon(self, spend: PreparedSpend) -> None:
        """Free the notes of a prepared spend that is not to be submitted.

        Whoever was handed it with its proof, a relayer or a node, can still settle it until its deadline. Paying the
        same again takes the same notes, so that only one of the two can settle, unless other notes arrived meanwhile:
        then wait for the deadline first.
        """
        self._settlement.abandon(spend)

    def _settle(
        self,
        prepare: Callable[[SignedQuote | None], PreparedSpend],
        token: str,
        kind: Kind,
        via: "RelayerClient | None",
    ) -> Settled:
        quote = None
        if via is None:
            if kind == "transact-note":
                raise RequestError("a fee by a note is for a relayer: name one")
        else:
            self._builder.signer()
            token = token_address(token)
            if kind == "transact-note":
                self._preparation.require_circuit(2, 3)
            self.sync()  # what takes long comes before the quote
            quote = via.quote(self.pool, token, kind)
        spend = prepare(quote)
        try:
            proof = self.prove(spend)
        except BaseException:
            self.abandon(spend)
            raise
        try:
            receipt = self.submit(spend, proof, via=via, quote=quote)
        except NotMinedError:
            raise  # it may still land: its notes stay reserved until its deadline
        except ChainError:
            # A relayer that refuses a payment has it nonetheless.
            if via is None:
                self.abandon(spend)
            raise
        return Settled(receipt, proof, spend)

    def _catch_up(self) -> int:
        self.sync()
        # As asked by `sync`: a question of its own would tell the node that a payment is being made.
        return self._follower.now

    def _keep(self, prepared: Prepared, reserve: bool) -> PreparedSpend:
        if reserve:
            self._settlement.keep(prepared.payment)
        return prepared.spend
