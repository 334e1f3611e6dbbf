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
    pass


class ProvingError(WalletError):
    pass
