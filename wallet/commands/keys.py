"""`gelap wallet`: making wallets, and getting their keys out again."""

from pathlib import Path
from typing import Annotated

import typer

from protocol.keys import new_mnemonic
from wallet import keystore, viewing_key
from wallet.command import Result, register
from wallet.errors import RequestError
from wallet.session import Session

NewFile = Annotated[Path | None, typer.Option("--out", help="Write to this new file, mode 600.", show_default=False)]

BACKUP = (
    "Write these words on paper. They and the chain restore everything but the labels of addresses; the passphrase "
    "protects this computer's copy only. Whoever has the words has the money, and nobody can give them to you again."
)
VIEWING = "whoever has this key sees every payment of this account, past and future, for good; it cannot spend"


@register("init")
def init(
    session: Session,
    words: Annotated[int, typer.Option(help="12, 15, 18, 21 or 24.")] = 24,
    out: NewFile = None,
) -> Result:
    """Make a new wallet and its mnemonic, and show the mnemonic, or write it to --out."""
    mnemonic = new_mnemonic(words)
    session.create(keystore.Secrets(mnemonic))
    _show_words(session, mnemonic, out)
    return {"wallet": str(session.options.folder)}


@register("import")
def import_(
    session: Session,
    mnemonic_file: Annotated[
        str | None, typer.Option(help="File with the words; - for stdin. Default: ask.", show_default=False)
    ] = None,
    bip39_passphrase_file: Annotated[
        str | None, typer.Option(help="File with the mnemonic's own passphrase, if it has one.", show_default=False)
    ] = None,
    account: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Account number.")] = 0,
    viewing_key_file: Annotated[
        str | None,
        typer.Option(
            "--viewing-key", help="File with a viewing key; - for stdin: see all, spend nothing.", show_default=False
        ),
    ] = None,
) -> Result:
    """Make a wallet from a mnemonic, or one that only looks from a viewing key."""
    if viewing_key_file is not None:
        if mnemonic_file is not None:
            raise RequestError("give a mnemonic or a viewing key, not both")
        key = session.ask.secret(viewing_key_file, "viewing key", "--viewing-key")
        content = keystore.Secrets(viewing=key.strip())
    else:
        words = session.ask.secret(mnemonic_file, "mnemonic", "--mnemonic-file")
        own = "" if bip39_passphrase_file is None else session.ask.secret(
            bip39_passphrase_file, "mnemonic's passphrase", "--bip39-passphrase-file"
        )  # fmt: skip
        content = keystore.Secrets(" ".join(words.lower().split()), own, account)
    content.keys()  # before a passphrase is asked for
    session.create(content)
    session.output.say(f"the wallet is in {session.options.folder}; `gelap wallet sync` finds its notes")
    return {"wallet": str(session.options.folder), "view_only": viewing_key_file is not None}


@register("backup")
def backup(session: Session, out: NewFile = None) -> Result:
    """Show the mnemonic again, or write it to --out."""
    _show_words(session, session.secrets.words(), out)
    return {"written_to": None if out is None else str(out)}


@register("passphrase")
def passphrase(
    session: Session,
    new_passphrase_file: Annotated[
        str | None, typer.Option(help="File with the new passphrase; - for stdin. Default: ask.", show_default=False)
    ] = None,
) -> Result:
    """Change the wallet's passphrase. Copies of the keystore made before still open with the old one."""
    content = session.secrets
    new = session.ask.secret(new_passphrase_file, "new passphrase of the wallet", "--new-passphrase-file", repeat=True)
    keystore.replace(session.keystore_path, content, new)
    session.output.say("the passphrase is changed; copies of the keystore made before still open with the old one")
    return {"wallet": str(session.options.folder)}


@register("export-viewing-key")
def export_viewing_key(session: Session, out: NewFile = None) -> Result:
    """Print the key that sees everything and spends nothing, or write it to --out."""
    text = viewing_key.encode(session.keys)
    session.output.warn(VIEWING)
    if out is not None:
        keystore.write_private(out, text + "\n")
        return {"written_to": str(out)}
    session.output.value(text)
    return {"viewing_key": text}


def _show_words(session: Session, mnemonic: str, out: Path | None) -> None:
    if out is not None:
        keystore.write_private(out, mnemonic + "\n")
        session.output.say(f"the mnemonic is in {out}. {BACKUP}")
    elif session.stderr_is_terminal:
        typer.echo(f"\n{mnemonic}\n\n{BACKUP}", err=True)
    else:
        session.output.warn("the mnemonic is not shown, since stderr is no terminal: `gelap wallet backup --out FILE`")
