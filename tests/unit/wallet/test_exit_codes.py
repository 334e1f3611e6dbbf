"""Scripts act on exit codes: every error has one, and the page says the same."""

import re
from pathlib import Path

import pytest

from chain.errors import ChainError, RpcError
from proto.errors import ProverClientError, TimedOutError
from protocol.errors import AddressError, ProtocolError
from wallet.errors import NotSpendableYetError, PassphraseError, WalletError
from wallet.exit_codes import ENDINGS, ending_of

PAGE = (Path(__file__).parents[3] / "docs" / "wallet.md").read_text()


def classes(root: type[BaseException]) -> list[type[BaseException]]:
    return [root, *(kind for child in root.__subclasses__() for kind in classes(child))]


@pytest.mark.parametrize("root", [WalletError, ChainError, ProtocolError, ProverClientError])
def test_every_error_of_these_trees_has_an_ending(root: type[BaseException]) -> None:
    for kind in classes(root):
        assert ending_of(kind.__new__(kind)).code > 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotSpendableYetError(), 6),
        (PassphraseError(), 4),
        (RpcError(), 8),
        (AddressError(), 2),
        (TimedOutError("late", name="x"), 12),
        (WalletError(), 1),
        (PermissionError(), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_the_nearest_class_decides(error: BaseException, code: int) -> None:
    assert ending_of(error).code == code


def test_an_error_of_our_own_making_is_not_taken_for_the_users() -> None:
    with pytest.raises(TypeError, match="KeyError has no exit code"):
        ending_of(KeyError())


def test_codes_and_names_are_unique_and_the_page_lists_exactly_them() -> None:
    assert len({ending.code for ending in ENDINGS}) == len({ending.name for ending in ENDINGS}) == len(ENDINGS)
    _, found, section = PAGE.partition("\n## Exit codes\n")
    assert found
    rows = re.findall(r"^\| (\d+) \| ([\w-]+) \| (.+) \|$", section.partition("\n## ")[0], re.M)
    assert [(int(code), name, meaning) for code, name, meaning in rows] == [
        (ending.code, ending.name, ending.meaning) for ending in ENDINGS
    ]
