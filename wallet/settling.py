"""Takes payments to their end: writes down what was signed, sends what was proved, and sends it again after a crash."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chain.errors import ChainError, RelayerError, RevertedError
from chain.pool import NOBODY, Pool
from chain.pool import Spend as SpendCall
from chain.proving import Proven
from chain.relayer.quote import SignedQuote
from chain.sender import Receipt
from wallet.errors import RequestError
from wallet.payments import Handover, Payment
from wallet.relaying import hand_over
from wallet.spend import PreparedSpend
from wallet.store import Store

if TYPE_CHECKING:
    from chain.relayer.client import RelayerClient

DEEPEST_REORG = 64


@dataclass(frozen=True)
class Settled:
    """A spend that the pool accepted: its transaction, its proof as the proof source returned it, and the spend."""

    receipt: Receipt
    proof: Proven
    spend: PreparedSpend


@dataclass(frozen=True)
class Resumed:
    """What came of sending a payment again: its receipt, or why there is none."""

    payment: Payment
    receipt: Receipt | None
    problem: str = ""


class Settlement:
    """The payments of one wallet file that are on their way. Errors are WalletError and ChainError."""

    def __init__(self, store: Store, pool: Pool) -> None:
        self._store = store
        self._pool = pool

    def payments(self) -> list[Payment]:
        """Those that were signed and not seen settled."""
        return self._store.payments()

    def keep(self, payment: Payment) -> None:
        """Write a signed payment down and keep its notes out of others until its deadline."""
        with self._store.transaction():
            self._store.reserve(list(payment.nullifiers), payment.deadline)
            self._store.keep_payment(payment)

    def abandon(self, spend: PreparedSpend) -> None:
        """Free the notes of a spend that is not to be submitted."""
        with self._store.transaction():
            self._store.release(list(spend.reserved))
            self._store.forget_payment(spend.reserved)

    def submit(
        self,
        spend: PreparedSpend,
        proof: Proven,
        via: "RelayerClient | None" = None,
        quote: SignedQuote | None = None,
    ) -> Receipt:
        """Settle a proved spend on chain, through a relayer that gave `quote` or from the pool client's account.

        A wrong proof is refused by the contract before any gas is paid.
        """
        call, handover = spend.call(proof.proof), None
        if via is not None:
            if quote is None:
                raise RequestError("a relayer wants to see its quote again: give the one that the payment was built on")
            handover = Handover(via.name, quote.quote.relayer, quote.quote.kind)
        # Before it is sent: whatever happens from here on, `resume` can send it again.
        with self._store.transaction():
            for payment in self._store.payments():
                if payment.nullifiers == spend.reserved:
                    self._store.keep_payment(payment.proved(call, handover))
        if via is None or quote is None:
            return self._send(call)
        # It is new, so no block before these can show it, not even after a reorganisation.
        first_block = max(self._next_block(), self._pool.block_number() - DEEPEST_REORG)
        return hand_over(call, quote, via, self._pool, first_block)

    def resume(self, via: "RelayerClient | None" = None) -> list[Resumed]:
        """Send every proved payment again; a payment can settle only once.

        With `via`, those that were for this relayer go to it, and those for another one stay where they are.
        """
        return [self._resume(payment, payment.call, via) for payment in self.payments() if payment.call is not None]

    def _resume(self, payment: Payment, call: SpendCall, via: "RelayerClient | None") -> Resumed:
        try:
            if via is None or payment.handover is None:
                return Resumed(payment, self._send(call))
            return Resumed(payment, self._resume_via(payment, payment.handover, call, via))
        except RevertedError as error:
            if error.name == "NullifierAlreadyUsed":
                return Resumed(payment, None, "settled already; it leaves the list with the next synchronisation")
            return Resumed(payment, None, str(error))
        except ChainError as error:
            return Resumed(payment, None, str(error))

    def _resume_via(self, payment: Payment, handover: Handover, call: SpendCall, via: "RelayerClient") -> Receipt:
        quote = via.quote(self._pool, payment.token, handover.kind)
        if quote.quote.relayer != handover.relayer:
            raise RelayerError(
                f"the payment's fee goes to the relayer {handover.name} ({handover.relayer}), and {via.name} is "
                "another: resume with that one, or send it from an account of your own",
                "bad-quote",
            )
        return hand_over(call, quote, via, self._pool, self._next_block())

    def _next_block(self) -> int:
        """The first block that this wallet has not read."""
        cursor = self._store.cursor()
        return self._pool.deployed_at if cursor is None else cursor[0] + 1

    def _send(self, call: SpendCall) -> Receipt:
        return self._pool.transact(call) if call.receiver == NOBODY else self._pool.withdraw(call)
