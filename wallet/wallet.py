"""The wallet: one account, one pool, one file.

    with Wallet.open("alice.db", mnemonic, pool=pool, prover=prover) as wallet:
        wallet.deposit(token, 100)
        wallet.sync()
        wallet.send(address, token, 40)

The file holds no key and is sealed under one derived from the viewing key. Keep the mnemonic: with the chain it
restores everything but the labels of addresses. `wallet.keystore` keeps keys under a passphrase.
"""

from pathlib import Path
from typing import Self

from chain.errors import NotMinedError
from chain.pool import NOBODY, Pool
from chain.proving import ProofSource, Proven
from chain.sender import Receipt
from protocol.keys import Account, FullViewingKey
from protocol.merkle import HashPairs
from wallet.checks import checked_amount, gelap_recipient, memo_text, token_address, withdrawal_receiver
from wallet.errors import InsufficientFundsError, ProvingError, RequestError
from wallet.following import PoolFollower, open_store
from wallet.notes import Balance, NoteManager, Progress
from wallet.payments import Payment
from wallet.scanner import OpenMemos, Scanner, open_memos
from wallet.settling import Resumed, Settled, Settlement
from wallet.sources import EventSource, Lag, OnLag
from wallet.spend import PreparedSpend
from wallet.store import HistoryEntry, StoredNote
from wallet.transactions import Fee, TransactionBuilder

__all__ = ["Balance", "Lag", "Progress", "Resumed", "Settled", "Wallet"]

PROOF_BYTES = 256
DEADLINE_SECONDS = 20 * 60
PERMIT_SECONDS = 20 * 60


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
        of notes received at the others. Payers who compare addresses still see that they are of one account: give
        those who must not addresses of different accounts. `label` stays in this file.
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
        return self._notes.sync(progress)

    # Paying

    def deposit(self, token: str, amount: int, *, permit: bool = False) -> Receipt:
        """Move `amount` of `token` from the pool client's EVM account into the pool, as a note to oneself.

        Approves exactly the amount first where the allowance is smaller, or, with `permit`, sends an EIP-2612 signature
        along. The note can be spent after the next tree update.
        """
        call = self._builder.deposit(token, amount)
        coins = self.pool.token(call.token)
        if self.pool.account is None:
            raise RequestError("a deposit needs an EVM account that pays it: give the pool client one")
        held = coins.balance_of(self.pool.account.address)
        if held < amount:
            raise InsufficientFundsError(f"the EVM account holds {held} of this token, the deposit needs {amount}")
        if permit:
            signature = coins.sign_permit(self.pool.address, amount, self.pool.now() + PERMIT_SECONDS)
            return self.pool.deposit_with_permit(call.token, amount, call.pre_commitment, call.memo, signature)
        allowance = coins.allowance(self.pool.account.address, self.pool.address)
        if allowance < amount:
            if allowance:
                coins.approve(self.pool.address, 0)  # some tokens, USDT for one, refuse to change a standing allowance
            coins.approve(self.pool.address, amount)
        return self.pool.deposit(call.token, amount, call.pre_commitment, call.memo)

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
        checked_amount(amount)
        recipient, token = gelap_recipient(address), token_address(token)
        memo_text(text)
        deadline, paid = self._begin(fee, relayer)
        funds = self._notes.select(token, amount + fee)
        spend = self._builder.transfer(funds, recipient, amount, deadline=deadline, text=text, fee=paid)
        return self._prepared(spend, reserve, "send", token, amount, address)

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
        checked_amount(amount)
        receiver, token = withdrawal_receiver(receiver, self.pool.address), token_address(token)
        deadline, paid = self._begin(fee, relayer)
        funds = self._notes.select(token, amount + fee)
        spend = self._builder.withdrawal(funds, receiver, amount, deadline=deadline, fee=paid)
        return self._prepared(spend, reserve, "withdraw", token, amount, receiver)

    def prepare_consolidate(
        self, token: str, *, fee: int = 0, relayer: str = NOBODY, reserve: bool = True
    ) -> PreparedSpend:
        """Build and sign the merging of the two largest notes; see `prepare_send`."""
        token = token_address(token)
        deadline, paid = self._begin(fee, relayer)
        funds = self._notes.select_to_merge(token)
        spend = self._builder.consolidation(funds, deadline=deadline, fee=paid)
        return self._prepared(spend, reserve, "consolidate", token, funds.amount - fee, "")

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
        return self._settlement.submit(spend, proof)

    def resume(self) -> list[Resumed]:
        """Send the proved payments again that were not seen settled, after a crash or a reorganisation.

        A payment can settle only once, so sending it again is safe. One that was signed and not proved cannot be
        resumed: its notes come back when its deadline has passed. Call `sync` first.
        """
        return self._settlement.resume()

    def abandon(self, spend: PreparedSpend) -> None:
        """Free the notes of a prepared spend that is not to be submitted.

        Whoever proved it can still settle it until its deadline. Paying the same again takes the same notes, so that
        only one of the two can settle, unless other notes arrived meanwhile: then wait for the deadline first.
        """
        self._settlement.abandon(spend)

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

    def _begin(self, fee: int, relayer: str) -> tuple[int, Fee]:
        """Check what can be checked, catch up with the chain, and set the deadline."""
        self._builder.signer()  # a wallet that can only look says so before anything is read
        paid = Fee(fee, relayer)
        self.sync()
        # As asked by `sync`: a question of its own would tell the node that a payment is being made.
        return self._follower.now + DEADLINE_SECONDS, paid

    def _prepared(
        self, spend: PreparedSpend, reserve: bool, kind: str, token: str, amount: int, counterparty: str
    ) -> PreparedSpend:
        if reserve:
            terms = spend.terms
            payment = Payment(kind, token, amount, terms.fee, counterparty, terms.deadline, spend.reserved)
            self._settlement.keep(payment)
        return spend
