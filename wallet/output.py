"""What `gelap wallet` prints: data on stdout, words for people on stderr.

With --json stdout holds exactly one document, whatever happens:

    {"format": "gelap-wallet", "version": 1, "command": "balance", "ok": true, "result": {...}, "warnings": [...]}
    {"format": "gelap-wallet", "version": 1, "command": "send", "ok": false,
     "error": {"code": 6, "name": "not-spendable-yet", "message": "..."}, "warnings": [...]}

Amounts are decimal text in the token's smallest unit, since JSON's numbers do not reach 2^128.
"""

import json
from collections.abc import Sequence
from typing import Any

import typer

from wallet.exit_codes import Ending

FORMAT, VERSION = "gelap-wallet", 1


class Output:
    """One command's output."""

    def __init__(self, command: str, as_json: bool, quiet: bool) -> None:
        self._command = command
        self._as_json = as_json
        self.quiet = quiet
        self._warnings: list[str] = []

    def say(self, text: str) -> None:
        """Words for people."""
        if not self.quiet:
            typer.echo(printable(text), err=True)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table for people."""
        if self.quiet:
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*head)
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))  # as text: a stranger's words are no markup
        Console(stderr=True).print(table)

    def warn(self, text: str) -> None:
        """Once a run, however often it applies."""
        if text not in self._warnings:
            self._warnings.append(text)
            self.say(f"warning: {text}")

    def value(self, text: str) -> None:
        """The one value that a command is run for; part of the document where there is one."""
        if not self._as_json:
            typer.echo(text)

    def finish(self, result: dict[str, Any]) -> None:
        self._document({"ok": True, "result": result})

    def fail(self, error: BaseException, ending: Ending) -> None:
        message = str(error) or ending.meaning
        self._document({"ok": False, "error": {"code": ending.code, "name": ending.name, "message": message}})
        typer.echo(f"error: {printable(message)}", err=True)

    def _document(self, content: dict[str, Any]) -> None:
        if self._as_json:
            head = {"format": FORMAT, "version": VERSION, "command": self._command}
            typer.echo(json.dumps(head | content | {"warnings": self._warnings}, indent=2))


def printable(text: str) -> str:
    """Without control characters: a service's words, or a sender's, must not steer the terminal."""
    return "".join(each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text)
