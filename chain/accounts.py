"""The EVM account of a server: from a file or standard input, never from a command line or the environment."""

import json
import re
import sys
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys.exceptions import ValidationError

from chain.errors import ChainError

STDIN = "-"


def read_account(key_file: str, passphrase_file: Path | None = None) -> LocalAccount:
    """The account whose key is in `key_file`, or on standard input if that is `-`.

    The content is a key of 64 hexadecimal digits, or a keystore in Ethereum's JSON format (version 3) whose passphrase
    is the first line of `passphrase_file`. Raises ChainError, which never shows what was read.
    """
    text = _read(key_file)
    if not text.startswith("{"):
        if not re.fullmatch(r"(0x)?[0-9a-fA-F]{64}", text):
            raise ChainError(f"{_name(key_file)} holds no key: expected 64 hexadecimal digits or a keystore in JSON")
        try:
            return Account.from_key(text)
        except (ValueError, ValidationError):
            raise ChainError(f"{_name(key_file)} holds a number that is no key") from None
    if passphrase_file is None:
        raise ChainError(f"{_name(key_file)} is a keystore: name the file with its passphrase as well")
    passphrase = _read(str(passphrase_file)).split("\n")[0]
    try:
        return Account.from_key(Account.decrypt(json.loads(text), passphrase))
    except (ValueError, TypeError, KeyError):
        raise ChainError(f"{_name(key_file)} cannot be opened: a wrong passphrase, or not a keystore") from None


def _read(name: str) -> str:
    try:
        return (sys.stdin.read() if name == STDIN else Path(name).read_text(encoding="utf-8")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ChainError(f"{_name(name)} cannot be read ({type(error).__name__})") from None


def _name(name: str) -> str:
    return "standard input" if name == STDIN else name
