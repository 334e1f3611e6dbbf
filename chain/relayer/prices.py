"""What a payment costs a relayer, in the token that it is paid in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from eth_utils import is_address, to_checksum_address

from chain.errors import ChainError, RelayerError
from chain.relayer import metrics
from chain.relayer.quote import Kind, two_digits

# Gas of a spend with a fee, of contracts/test/fixtures/gas.json, rounded up.
GAS: dict[Kind, int] = {"transact": 425_000, "withdraw": 455_000, "consolidate": 612_000, "transact-note": 420_000}
WEI = 10**18
# Amounts of notes are below 2^128, and so are fees.
_MOST = 1 << 128

log = structlog.get_logger("gelap.relayer")


@dataclass(frozen=True)
class Margin:
    """`percent` on top of the cost covers a rising gas price and the profit; `extra_wei` a fixed cost for each payment,
    such as what a rollup charges for its data.
    """

    percent: int = 30
    extra_wei: int = 0


class Prices:
    """Reads a JSON file {token address: what one ether costs in the token's smallest unit, as decimal text}.

    The file is read again when it has changed; keeping it true to the market is its owner's part. A change that cannot
    be used is told in the log and by a metric, and the prices before it hold.
    """

    def __init__(self, path: Path, margin: Margin | None = None) -> None:
        """Raises ChainError for a file that cannot be used."""
        self._path = path
        self._margin = margin or Margin()
        self._seen: tuple[int, int, int] | None = None
        self._rates: dict[str, int] = {}
        self.usable = True
        self._read()
        metrics.PRICES_USABLE.set(True)

    def rates(self) -> Mapping[str, int]:
        """By checksummed address."""
        try:
            self._read()
        except ChainError as error:
            if self.usable:
                log.error("prices unusable: the ones before hold", reason=str(error))
            self.usable = False
        else:
            self.usable = True
        metrics.PRICES_USABLE.set(self.usable)
        return self._rates

    def fee(self, token: str, kind: Kind, gas_price: int, gas: int | None = None) -> int:
        """What a payment of this kind costs at `gas_price` (wei) with the margin, with two digits, rounded up.

        Raises RelayerError (`token`) for a token that has no price.
        """
        rate = self.rates().get(token)
        if rate is None:
            raise RelayerError("this relayer takes no fee in that token: see its terms", "token")
        wei = (gas or GAS[kind]) * gas_price * (100 + self._margin.percent) // 100 + self._margin.extra_wei
        return two_digits(-(-wei * rate // WEI))

    def cost(self, token: str, gas: int, gas_price: int) -> int:
        """What so much gas costs, without the margin, rounded up."""
        return -(-(gas * gas_price + self._margin.extra_wei) * self.rates().get(token, 0) // WEI)

    def _read(self) -> None:
        try:
            found = self._path.stat()
            # Many file systems tell times only to some milliseconds: two changes can bear the same one.
            seen = found.st_mtime_ns, found.st_size, found.st_ino
            if seen != self._seen:
                text = self._path.read_text(encoding="utf-8")
                self._rates = _checked(json.loads(text, object_pairs_hook=list))
                self._seen = seen
        except OSError as error:
            raise ChainError(f"{self._path} cannot be read: {error.strerror}") from None
        except json.JSONDecodeError as error:
            raise ChainError(f"{self._path} is not JSON: {error}") from None
        except ValueError as error:
            raise ChainError(
                f"{self._path} must hold a JSON object of token addresses and what one ether costs in each one's "
                f"smallest unit, as text: {error}"
            ) from None


def _checked(content: object) -> dict[str, int]:
    """The prices in a JSON object, given as its pairs. Raises ValueError."""
    if not isinstance(content, list) or not all(isinstance(pair, tuple) for pair in content):
        raise ValueError("it is no object")
    if not content:
        raise ValueError("there are no tokens in it")
    rates: dict[str, int] = {}
    for token, price in content:
        if not is_address(token):
            raise ValueError(f"{token[:50]} is no address of 0x and 40 hexadecimal digits, or its checksum is wrong")
        if not isinstance(price, str):
            raise ValueError(f"the price of {token} is no text: put it in quotation marks")
        if not price.isascii() or not price.isdigit() or not 0 < int(price) < _MOST:
            raise ValueError(f"the price of {token} is no whole number from 1 to 2^128 in decimal digits")
        if rates.setdefault(to_checksum_address(token), int(price)) != int(price):
            raise ValueError(f"{token} has two prices")
    return rates
