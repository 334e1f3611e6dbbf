"""What is known of the chains that people run a pool on: the defaults of a chain that is configured by its name.

Block times, and how blocks are replaced:

    Ethereum   a slot has 12 s; the newest blocks can be replaced until two epochs later (ethereum.org, "Gasper")
    Optimism   2 s, chain id 10; the sequencer's blocks are final once their data is in a final block of Ethereum
    Base       2 s, chain id 8453 (docs.base.org, docs.optimism.io: "Transaction finality")
    Arbitrum   0.25 s by default, chain id 42161 (docs.arbitrum.io: "Finality and chain reorganizations")

The confirmations only keep replaced blocks rare: the indexer follows those that happen all the same, so they are 12 to
36 seconds and not the quarter of an hour that finality takes. The first windows are the spans that providers recommend
or allow to everybody (Chainstack: 2,000 blocks of Ethereum; Alchemy's message names 2,000, QuickNode allows 10,000 to
paying customers and 5 to others); a window finds smaller limits by itself and grows to `max_window` where it can.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """`block_seconds` is the usual time between two blocks; the rest counts blocks.

    `journal_depth` is how far below the tip a reorganisation is still followed: a day at least, since a rollup's
    sequencer may take that long to write its blocks to Ethereum (docs.arbitrum.io, `delaySeconds` 86,400).
    `range_blocks` is the width of a partition of the big tables in PostgreSQL: about a quarter of a year.
    """

    name: str
    chain_id: int
    block_seconds: float
    confirmations: int
    first_window: int
    max_window: int
    journal_depth: int
    range_blocks: int


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("ethereum", 1, 12.0, 3, 1_000, 10_000, 10_000, 500_000),
        Preset("optimism", 10, 2.0, 6, 2_000, 10_000, 43_200, 4_000_000),
        Preset("base", 8453, 2.0, 6, 2_000, 10_000, 43_200, 4_000_000),
        Preset("arbitrum", 42161, 0.25, 48, 5_000, 10_000, 345_600, 30_000_000),
        Preset("local", 31337, 1.0, 0, 1_000, 10_000, 10_000, 1_000_000),
    )
}

_BY_ID = {preset.chain_id: preset for preset in PRESETS.values()}


def preset_of(chain_id: int) -> Preset:
    """The preset with this chain id; for any other chain, one of its own with careful values."""
    found = _BY_ID.get(chain_id)
    return found or Preset(f"chain-{chain_id}", chain_id, 12.0, 3, 1_000, 10_000, 10_000, 1_000_000)
