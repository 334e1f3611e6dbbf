"""What a payment costs a relayer, in the token that it is paid in."""

import json
from dataclasses import dataclass
from pathlib import Path

from eth_utils import is_address, to_checksum_address

from chain.errors import ChainError, RelayerError
from chain.relayer.quote import Kind

# Gas of a spend with a fee, of contracts/test/fixtures/gas.json, rounded up; a third note instead of a fee on chain.
GAS: dict[Kind, int] = {"transact": 425_000, "withdraw": 455_000, "transact-note": 425_000}
WEI = 10**18


@dataclass(frozen=True)
class Margin:
    """`percent` on top of the cost covers a rising gas price and the profit; `extra_wei` a fixed cost for each payment,
    such as what a rollup charges for its data.
    """

    percent: int = 30
    extra_wei: int = 0


class Prices:
    """Reads a JSON file {token address: what one ether costs in the token's smallest unit, as decimal text}.

    The file is read again when it has changed; keeping it true to the market is its owner's part.
    """

    def __init__(self, path: Path, margin: Margin | None = None) -> None:
        self._path = path
        self._margin = margin or Margin()
        self._changed_at: int | None = None
        self._rates: dict[str, int] = {}
        self.rates()

    def rates(self) -> dict[str, int]:
        """By checksummed address. Raises ChainError for a file that cannot be used."""
        try:
            changed_at = self._path.stat().st_mtime_ns
            if changed_at != self._changed_at:
                self._rates = _checked(json.loads(self._path.read_text(encoding="utf-8")))
                self._changed_at = changed_at
        except (OSError, ValueError) as error:
            raise ChainError(
                f"{self._path} must hold a JSON object of token addresses and prices of one ether: {error}"
            ) from None
        return self._rates

    def fee(self, token: str, kind: Kind, gas_price: int, gas: int | None = None) -> int:
        """What a payment of this kind costs at `gas_price` (wei) with the margin, with two digits, rounded up.

        Raises RelayerError (`token`) for a token that has no price.
        """
        rate = self.rates().get(token)
        if rate is None:
            raise RelayerError("this relayer takes no fee in that token: see its terms", "token")
        wei = (gas or GAS[kind]) * gas_price * (100 + self._margin.percent) // 100 + self._margin.extra_wei
        return _two_digits(-(-wei * rate // WEI))

    def cost(self, token: str, gas: int, gas_price: int) -> int:
        """What so much gas costs, without the margin, rounded up."""
        return -(-(gas * gas_price + self._margin.extra_wei) * self.rates().get(token, 0) // WEI)


def _checked(content: object) -> dict[str, int]:
    if not isinstance(content, dict) or not content:
        raise ValueError("there are no tokens in it")
    rates: dict[str, int] = {}
    for token, price in content.items():
        if not is_address(token) or not isinstance(price, str) or not price.isascii() or not price.isdigit():
            raise ValueError(f"{token} must be an address, and its price decimal text")
        if int(price) == 0:
            raise ValueError(f"{token} has the price 0")
        rates[to_checksum_address(token)] = int(price)
    return rates


def _two_digits(amount: int) -> int:
    """Rounded up to two significant digits: fees that many payments share single nobody out."""
    scale = 10 ** max(0, len(str(amount)) - 2)
    return max(1, -(-amount // scale) * scale)
