"""Keys that are not said to be a ceremony's are deployed to development chains only."""

from types import SimpleNamespace
from typing import Any

import pytest
from eth_account import Account

from chain.deploy import deploy_with_keys
from chain.errors import ChainError


def chain(chain_id: int) -> Any:
    """A chain on which nothing can be sent."""
    return SimpleNamespace(eth=SimpleNamespace(chain_id=chain_id))


@pytest.mark.parametrize("chain_id", [1, 10, 8453, 42161, 11155111])
def test_development_keys_are_deployed_to_no_other_chain(chain_id: int) -> None:
    """Attack row 14: whoever made them can forge."""
    with pytest.raises(ChainError, match="whoever made them could take everything"):
        deploy_with_keys(chain(chain_id), Account.create(), {})


def test_a_development_chain_and_published_keys_get_further() -> None:
    """To the next question, which is for the keys."""
    for w3, published in ((chain(31337), False), (chain(1), True)):
        with pytest.raises(ChainError, match="a pool needs the verification key"):
            deploy_with_keys(w3, Account.create(), {}, published=published)
