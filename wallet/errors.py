"""Everything that can go wrong in a wallet.

WalletError
├── WalletFileError          a wallet file that cannot be used: another account's or pool's, damaged, or too new
├── KeystoreError            a keystore that cannot be read or written
│   └── PassphraseError         its passphrase is wrong, missing or too short
├── ViewOnlyError            the operation needs the spending key, and this wallet only has the viewing key
├── RequestError             a payment that cannot be built as asked: amount, token, fee or receiver
├── UnproxiedError           a connection that would go around the chosen proxy
├── NotConfirmedError        nobody said yes
├── InsufficientFundsError   the balance does not cover the payment
│   ├── NotSpendableYetError   it will, when deposits or change are in the tree or an unfinished payment ends
│   └── ConsolidationError     it does, but in more notes than one payment can take
├── PaymentKeptError         a relayer refused or fell silent after the proof: the payment is kept and may still settle
└── ProvingError             the proof source did not deliver a proof
"""


class WalletError(Exception):
    """Base of all errors of this package; the message says what to do next and never holds a secret."""


class WalletFileError(WalletError):
    pass


class KeystoreError(WalletError):
    pass


class PassphraseError(KeystoreError):
    pass


class UnproxiedError(WalletError):
    pass


class NotConfirmedError(WalletError):
    pass


class ViewOnlyError(WalletError):
    pass


class RequestError(WalletError, ValueError):
    pass


class InsufficientFundsError(WalletError):
    pass


class NotSpendableYetError(InsufficientFundsError):
    pass


class ConsolidationError(InsufficientFundsError):
    """`rounds` consolidations, each followed by a tree update, would make the payment possible; 0 when none would."""

    def __init__(self, message: str, rounds: int = 0) -> None:
        super().__init__(message)
        self.rounds = rounds


class PaymentKeptError(WalletError):
    pass


class ProvingError(WalletError):
    pass
