"""What a person or a script is asked for: secrets, documents, and a yes."""

import getpass
import sys
from pathlib import Path

from wallet.errors import NotConfirmedError, PassphraseError, RequestError

_MOST_DOCUMENT_BYTES = 1 << 20


class Asking:
    """One run's use of the terminal and of stdin, which can be read once."""

    def __init__(self) -> None:
        self._stdin_taken = False

    def secret(self, source: str | None, what: str, option: str, *, repeat: bool = False) -> str:
        """A secret from the file `source`, from stdin where that is `-`, else asked for on the terminal."""
        if source == "-":
            return self._stdin().strip("\r\n")
        if source is not None:
            try:
                return Path(source).read_text(encoding="utf-8").strip("\r\n")
            except (OSError, UnicodeDecodeError):
                raise PassphraseError(f"the {what} cannot be read from {source}") from None
        if not sys.stdin.isatty():
            raise PassphraseError(f"there is no terminal to ask for the {what}: give {option} FILE, or - for stdin")
        text = getpass.getpass(f"{what}: ")
        if repeat and getpass.getpass(f"{what}, again: ") != text:
            raise PassphraseError("the two differ")
        return text

    def document(self, source: str, what: str) -> str:
        """A document from the file `source`, or from stdin where that is `-`."""
        if source == "-":
            return self._stdin()
        try:
            with open(source, "rb") as stream:
                data = stream.read(_MOST_DOCUMENT_BYTES + 1)
            if len(data) > _MOST_DOCUMENT_BYTES:
                raise RequestError(f"the {what} in {source} is too long")
            return data.decode("utf-8")
        except (OSError, UnicodeDecodeError):
            raise RequestError(f"the {what} cannot be read from {source}") from None

    def confirm(self, question: str) -> None:
        """Go on when somebody says yes; raises NotConfirmedError otherwise."""
        if self._stdin_taken or not sys.stdin.isatty():
            raise NotConfirmedError("there is no terminal to ask on: give --yes to go on without being asked")
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise NotConfirmedError("not confirmed: nothing was done")

    def _stdin(self) -> str:
        if self._stdin_taken:
            raise RequestError("only one secret or payment can come from stdin: put the other one into a file")
        self._stdin_taken = True
        try:
            return sys.stdin.read()
        except UnicodeDecodeError:
            raise RequestError("what comes from stdin is no text in UTF-8") from None
