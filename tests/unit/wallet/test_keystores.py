"""Keystores: nothing without the passphrase, one clear error for a wrong one, and no surprise from a strange file."""

import contextlib
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from protocol.keys import Account, FullViewingKey
from wallet import keystore, viewing_key
from wallet.errors import KeystoreError, PassphraseError, RequestError, ViewOnlyError
from wallet.keystore import Cost, Secrets

# The English test vector of BIP-39 for entropy 0.
WORDS = "abandon " * 11 + "about"
PASSPHRASE = "correct horse battery staple"
CHEAP = Cost(n=2, r=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "keystore.json"
    keystore.create(made, Secrets(WORDS, "TREZOR", 3), PASSPHRASE, CHEAP)
    return made


def edited(path: Path, *place: str, value: Any) -> None:
    document = inner = json.loads(path.read_text())
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    path.write_text(json.dumps(document))


def test_the_passphrase_opens_what_was_stored(path: Path) -> None:
    content = keystore.read(path, PASSPHRASE)
    assert content == Secrets(WORDS, "TREZOR", 3)
    assert content.keys() == Account.from_mnemonic(WORDS, 3, "TREZOR")


def test_a_passphrase_typed_on_another_keyboard_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "keystore.json"
    keystore.create(path, Secrets(WORDS), "Gru\u0308n ist die Hoffnung", CHEAP)
    assert keystore.read(path, "Gr\u00fcn ist die Hoffnung").words() == WORDS


def test_a_wrong_passphrase_is_one_clear_error_that_repeats_nothing(path: Path) -> None:
    with pytest.raises(PassphraseError, match="is wrong, or the file was changed") as caught:
        keystore.read(path, "incorrect horse")
    assert "incorrect horse" not in str(caught.value)


def test_the_file_is_private_and_shows_no_word_and_no_kind(path: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_text()
    assert "abandon" not in content
    assert b"abandon".hex() not in content
    viewing = tmp_path / "viewing.json"
    keystore.create(viewing, Secrets(viewing=viewing_key.encode(Account.from_mnemonic(WORDS))), PASSPHRASE, CHEAP)
    first, second = (json.loads(each.read_text()) for each in (path, viewing))
    assert first.keys() == second.keys()
    assert first["ciphertext"] != second["ciphertext"]


def test_the_default_costs_a_guess_128_mib(tmp_path: Path) -> None:
    keystore.create(tmp_path / "keystore.json", Secrets(WORDS), PASSPHRASE)
    kdf = json.loads((tmp_path / "keystore.json").read_text())["kdf"]
    assert 128 * kdf["n"] * kdf["r"] == 128 << 20
    assert keystore.read(tmp_path / "keystore.json", PASSPHRASE).words() == WORDS


def test_parameters_and_ciphertext_cannot_be_changed_unnoticed(path: Path) -> None:
    original = path.read_text()
    document = json.loads(original)
    flipped = ("0" if document["ciphertext"][0] != "0" else "1") + document["ciphertext"][1:]
    for place, value in (
        (("kdf", "p"), 2),
        (("ciphertext",), flipped),
        (("extra",), 1),
        (("cipher", "nonce"), "00" * 12),
    ):
        edited(path, *place, value=value)
        with pytest.raises(PassphraseError):
            keystore.read(path, PASSPHRASE)
        path.write_text(original)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("kdf", "n"), 1 << 30),
        (("kdf", "n"), 3),
        (("kdf", "n"), "many"),
        (("kdf", "r"), 1 << 20),
        (("kdf", "p"), 0),
        (("kdf", "name"), "md5"),
        (("kdf", "salt"), "xyz"),
        (("cipher", "name"), "rot13"),
        (("cipher",), None),
        (("ciphertext",), 5),
    ],
)
def test_a_damaged_keystore_is_reported_and_cannot_make_this_machine_work_for_hours(path, place, value) -> None:
    edited(path, *place, value=value)
    with pytest.raises(KeystoreError, match="damaged"):
        keystore.read(path, PASSPHRASE)


@pytest.mark.parametrize("content", ["", "[]", "{}", "\0\1\2", '{"format": "gelap-keystore", "version": 2}'])
def test_a_file_that_is_no_keystore_of_this_version_is_reported(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(KeystoreError):
        keystore.read(path, PASSPHRASE)


def test_a_missing_keystore_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="gelap wallet init"):
        keystore.read(tmp_path / "none", PASSPHRASE)


def test_nothing_is_overwritten_and_nothing_useless_is_stored(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(KeystoreError, match="not overwritten"):
        keystore.create(path, Secrets(WORDS), PASSPHRASE, CHEAP)
    assert path.read_bytes() == before
    other = tmp_path / "other.json"
    with pytest.raises(PassphraseError, match="at least 8"):
        keystore.create(other, Secrets(WORDS), "short", CHEAP)
    with pytest.raises(ValueError, match="mnemonic"):
        keystore.create(other, Secrets("abandon " * 12), PASSPHRASE, CHEAP)
    assert not other.exists()


def test_an_exported_viewing_key_makes_a_wallet_that_only_looks(tmp_path: Path) -> None:
    account = Account.from_mnemonic(WORDS)
    text = viewing_key.encode(account)
    path = tmp_path / "viewing.json"
    keystore.create(path, Secrets(viewing=text), PASSPHRASE, CHEAP)
    content = keystore.read(path, PASSPHRASE)
    assert content.keys() == account.viewing()
    assert type(content.keys()) is FullViewingKey
    with pytest.raises(ViewOnlyError, match="no mnemonic"):
        content.words()


def test_a_viewing_key_with_a_typing_mistake_is_refused_without_being_repeated() -> None:
    text = viewing_key.encode(Account.from_mnemonic(WORDS))
    assert viewing_key.decode(f"  {text}\n") == Account.from_mnemonic(WORDS).viewing()
    position = len(text) // 2
    wrong = text[:position] + ("0" if text[position] != "0" else "1") + text[position + 1 :]
    for broken in (wrong, text[:-2], text.replace("gelapview1:", ""), "", "gelapview1:zz"):
        with pytest.raises(RequestError, match="not a viewing key") as caught:
            viewing_key.decode(broken)
        assert text[20:60] not in str(caught.value)


NEW = "another long passphrase"


def test_a_changed_passphrase_opens_the_same_keys_and_the_old_one_no_more(path: Path) -> None:
    content = keystore.read(path, PASSPHRASE)
    before = json.loads(path.read_text())
    keystore.replace(path, content, NEW, CHEAP)
    assert keystore.read(path, NEW) == content
    with pytest.raises(PassphraseError):
        keystore.read(path, PASSPHRASE)
    after = json.loads(path.read_text())
    assert after["kdf"]["salt"] != before["kdf"]["salt"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name], "nothing is left beside it"
    with pytest.raises(PassphraseError, match="at least 8"):
        keystore.replace(path, content, "short", CHEAP)
    assert keystore.read(path, NEW) == content


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_a_crash_while_the_passphrase_changes_loses_nothing(
    path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    content = keystore.read(path, PASSPHRASE)
    real = getattr(keystore.os, step)
    calls = 0
    for moment in range(3):
        remaining = [moment]

        def cut(*arguments: Any, remaining: list[int] = remaining, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if remaining[0] == 0:
                raise PowerCut
            remaining[0] -= 1
            return real(*arguments, **named)

        with monkeypatch.context() as patch:
            patch.setattr(keystore.os, step, cut)
            with contextlib.suppress(PowerCut):
                keystore.replace(path, content, NEW, CHEAP)
        opened = []
        for passphrase in (PASSPHRASE, NEW):
            try:
                opened.append(keystore.read(path, passphrase) == content)
            except PassphraseError:
                continue
        assert opened == [True], f"opens with exactly one of the two after a cut at {step} number {moment}"
    assert calls > 0
    keystore.replace(path, content, NEW, CHEAP)
    assert keystore.read(path, NEW) == content
    assert [each.name for each in path.parent.iterdir()] == [path.name], "what a cut left behind is gone"


def test_a_folder_that_cannot_be_written_is_one_clear_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    content = keystore.read(path, PASSPHRASE)
    monkeypatch.setattr(keystore.os, "fsync", full)
    with pytest.raises(KeystoreError, match="No space left"):
        keystore.replace(path, content, NEW, CHEAP)
    assert keystore.read(path, PASSPHRASE) == content
