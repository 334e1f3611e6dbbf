"""The endpoints of an indexer: `chain.endpoints` with the window each of them allows, metrics and a log."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog

from chain import endpoints
from chain.endpoints import NoEndpointError
from chain.errors import MismatchError, RpcError
from indexer import metrics
from indexer.errors import EndpointsError, SettingsError
from indexer.window import Window

T = TypeVar("T")

log = structlog.get_logger("gelap.indexer")


class Endpoint(endpoints.Endpoint):
    def __init__(self, url: str, timeout: float = 30.0, window: Window | None = None) -> None:
        """As `chain.endpoints` says; raises SettingsError for another kind of URL."""
        try:
            super().__init__(url, timeout)
        except RpcError as error:
            raise SettingsError(str(error)) from None
        self.window = window or Window()

    def block(self, number: int) -> dict[str, Any] | None:
        """The header of a block on the endpoint's present chain; None when it has no such block."""
        found = self.call("eth_getBlockByNumber", hex(number), False)
        if found is not None and not (isinstance(found, dict) and {"hash", "timestamp"} <= found.keys()):
            raise RpcError(f"{self.name} answers eth_getBlockByNumber with no block")
        return found

    def block_hash(self, number: int) -> bytes | None:
        found = self.block(number)
        if found is None:
            return None
        try:
            return bytes.fromhex(found["hash"].removeprefix("0x"))
        except (AttributeError, ValueError):
            raise RpcError(f"{self.name} sends a block without a hash") from None


class Endpoints(endpoints.Endpoints[Endpoint]):
    def __init__(self, endpoints: Sequence[Endpoint], chain_id: int | None = None, **options: Any) -> None:
        if not endpoints:
            raise SettingsError("an indexer needs a JSON-RPC endpoint of the chain: set GELAP_RPC_URL")
        super().__init__(endpoints, chain_id, **options)

    def attempt(
        self, work: Callable[[Endpoint], T], move_on: tuple[type[Exception], ...] = (RpcError, MismatchError)
    ) -> T:
        """As `chain.endpoints` says, with EndpointsError when no endpoint can be used."""
        try:
            return super().attempt(work, move_on)
        except NoEndpointError as error:
            raise EndpointsError(str(error)) from None

    def _note_failure(self, endpoint: Endpoint, error: Exception, pause: float) -> None:
        metrics.RPC_ERRORS.labels(endpoint.name, type(error).__name__).inc()
        log.warning("endpoint failed", endpoint=endpoint.name, reason=str(error), rests_seconds=pause)
