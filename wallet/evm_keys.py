"""The EVM account that pays for gas and deposits, from a file."""

from pathlib import Path

from eth_account import Account as EvmAccount
from eth_account.signers.local import LocalAccount

from wallet.asking import Asking
from wallet.errors import KeystoreError, PassphraseError, RequestError


def load_evm_key(ask: Asking, path: Path, passphrase_file: str | None) -> LocalAccount:
    """An EVM account from a file: Ethereum's encrypted JSON (version 3), or the 64 hexadecimal digits of a key."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise KeystoreError(f"the EVM account's key cannot be read from {path}") from None
    try:
        if text.startswith("{"):
            passphrase = ask.secret(passphrase_file, "passphrase of the EVM account", "--evm-passphrase-file")
            return EvmAccount.from_key(EvmAccount.decrypt(text, passphrase))
        return EvmAccount.from_key(text)
    except (PassphraseError, RequestError):
        raise
    except Exception:  # what these libraries raise may repeat the key
        raise KeystoreError(f"{path} holds no EVM key, or its passphrase is wrong") from None
