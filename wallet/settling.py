"""Takes payments to their end: writes down what was signed, sends what was proved, and sends it again after a crash."""

from dataclasses import dataclass

from chain.errors import ChainError, RevertedError
from chain.pool import NOBODY, Pool
from chain.pool import Spend as SpendCall
from chain.proving import Proven
from chain.sender import Receipt
from wallet.payments import Payment
from wallet.spend import PreparedSpend
from wallet.store import Store


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
        """Send every proved payment again; a payment can settle only once."""
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
        return self._pool.transact(call) if call.receiver == NOBODY else self._pool.withdraw(call)
