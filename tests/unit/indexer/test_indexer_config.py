"""The configuration file of an indexer: what it means, and what it says of mistakes."""

from pathlib import Path

import pytest

from indexer.chains import PRESETS, preset_of
from indexer.config import ChainConfig, read_config
from indexer.errors import SettingsError

POOL = "0x" + "ab" * 20
BASE = f'[chains.base]\npool = "{POOL}"\nfirst_block = 7\nrpc_urls = ["https://one.example/key"]\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "indexer.toml"
    path.write_text(text)
    return path


def test_a_chain_named_after_a_preset_has_its_values(tmp_path: Path) -> None:
    found = read_config(write(tmp_path, BASE), {})
    preset = PRESETS["base"]
    assert found.chains == (
        ChainConfig(
            name="base",
            chain_id=8453,
            pool=bytes.fromhex("ab" * 20),
            first_block=7,
            rpc_urls=("https://one.example/key",),
            confirmations=preset.confirmations,
            max_window=preset.max_window,
            first_window=preset.first_window,
            range_blocks=preset.range_blocks,
        ),
    )
    assert found.options == {}


def test_the_file_goes_before_the_preset_and_the_environment_before_the_files_endpoints(tmp_path: Path) -> None:
    text = 'rate = 5.5\naddress = "0.0.0.0:80"\n' + BASE + "confirmations = 0\nmax_window = 9\npoll_seconds = 0.5\n"
    found = read_config(write(tmp_path, text), {"GELAP_RPC_URL_BASE": "https://two.example  https://three.example"})
    (chain,) = found.chains
    assert (chain.confirmations, chain.max_window, chain.poll) == (0, 9, 0.5)
    assert chain.rpc_urls == ("https://two.example", "https://three.example")
    assert found.options == {"rate": 5.5, "address": "0.0.0.0:80"}


def test_chains_keep_the_order_of_the_file_and_may_have_any_name_with_an_id(tmp_path: Path) -> None:
    text = BASE + f'[chains.my-net]\nchain_id = 77\npool = "{POOL}"\nfirst_block = 0\n'
    found = read_config(write(tmp_path, text), {"GELAP_RPC_URL_MY_NET": "http://127.0.0.1:8545"})
    assert [(chain.name, chain.chain_id) for chain in found.chains] == [("base", 8453), ("my-net", 77)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "chains: Field required"),
        ("[chains]", "at least 1 item"),
        ("[chains", "is no TOML file"),
        (BASE + "confirmation = 1", "chains.base.confirmation: Extra inputs are not permitted"),
        (BASE.replace(POOL, "0x12"), "pool is an address"),
        (BASE.replace("first_block = 7", ""), "chains.base.first_block: Field required"),
        (BASE.replace("7", '"7"'), "chains.base.first_block: Input should be a valid integer"),
        (BASE.replace("base", "elsewhere"), "needs a chain_id; without are only ethereum, optimism, base"),
        (BASE.replace("base", "Base"), "letters, digits and hyphens only"),
        (BASE + "chain_id = 1", "base is chain 8453, not 1"),
        (BASE + BASE.replace("base", "again") + "chain_id = 8453", "base and again have one chain id, 8453"),
        (BASE.replace('"https://one.example/key"', ""), "needs rpc_urls, or the variable GELAP_RPC_URL_BASE"),
        (BASE + "max_window = 0", "greater than or equal to 1"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=r"indexer\.toml") as caught:
        read_config(write(tmp_path, text), {})
    assert message in str(caught.value)
    assert "one.example" not in str(caught.value)


def test_a_file_that_is_not_there_is_a_mistake_of_the_option(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="correct --config"):
        read_config(tmp_path / "indexer.toml", {})


def test_endpoints_are_not_shown_with_a_configuration(tmp_path: Path) -> None:
    """Their URLs hold keys."""
    found = read_config(write(tmp_path, 'database_url = "postgresql://me:secret@db/x"\n' + BASE), {})
    assert "one.example" not in repr(found.chains)


def test_an_unknown_chain_gets_a_name_from_its_id() -> None:
    assert preset_of(77).name == "chain-77"
    assert preset_of(8453) is PRESETS["base"]
