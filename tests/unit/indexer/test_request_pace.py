"""How much is asked of endpoints at once, which of them is asked, and how often an address may ask us."""

import pytest

from bench.index.chain import SyntheticChain
from chain.errors import RpcError
from gelap.rate_limit import MAX_ADDRESSES, RateLimit
from indexer.errors import EndpointsError, SettingsError
from indexer.rpc import Endpoint, Endpoints
from indexer.window import MAX_EVENTS, PATIENCE, Window
from tests.unit.indexer.conftest import InProcess


@pytest.mark.parametrize("allowed", [1, 7, 500, 1_999])
def test_a_window_comes_to_rest_within_a_factor_of_two_of_what_is_allowed(allowed: int) -> None:
    window, refusals = Window(1_000, 10_000), 0
    for _ in range(PATIENCE // 2):
        while window.size > allowed:
            assert window.refused(window.size)
            refusals += 1
        window.accepted(0)
    assert allowed < 2 * window.size
    assert refusals < 30


def test_a_larger_window_is_tried_again_after_a_while() -> None:
    window = Window(8, 64)
    window.refused(8)
    for _ in range(PATIENCE + 8):
        window.accepted(0)
    assert window.size == 64


def test_a_window_shrinks_where_events_are_dense_and_says_when_it_cannot() -> None:
    window = Window(1_000, 1_000)
    window.accepted(4 * MAX_EVENTS)
    assert window.size == 125
    assert not window.refused(1)


def test_an_endpoint_that_failed_rests_before_it_is_preferred_again() -> None:
    now = [0.0]
    first, second = InProcess(SyntheticChain(), "first"), InProcess(SyntheticChain(), "second")
    endpoints = Endpoints([first, second], clock=lambda: now[0])

    def used() -> str:
        return endpoints.attempt(lambda endpoint: (endpoint.number("eth_blockNumber"), endpoint.name)[1])

    first.dead = True
    assert used() == "second.invalid"
    first.dead = False
    assert used() == "second.invalid"
    now[0] = 1.5
    assert used() == "first.invalid"


def test_no_message_about_an_endpoint_shows_its_url() -> None:
    endpoint = Endpoint("http://127.0.0.1:9/a-secret-key", 1.0)
    with pytest.raises(RpcError) as unreachable:
        endpoint.call("eth_chainId")
    with pytest.raises(EndpointsError) as given_up:
        Endpoints([endpoint]).attempt(lambda each: each.call("eth_chainId"))
    assert "secret" not in f"{unreachable.value}{given_up.value}"
    with pytest.raises(SettingsError, match="set GELAP_RPC_URL"):
        Endpoints([])


def test_each_address_has_a_rate_of_its_own() -> None:
    now = [0.0]
    limit = RateLimit(2, 3, clock=lambda: now[0])
    assert [limit.seconds_to_wait("10.0.0.1") for _ in range(4)] == [0, 0, 0, 0.5]
    assert limit.seconds_to_wait("10.0.0.2") == 0
    now[0] = 0.5
    assert [limit.seconds_to_wait("10.0.0.1") for _ in range(2)] == [0, 0.5]
    assert [limit.seconds_to_wait(f"2001:db8:1:2::{n}") for n in range(4)][-1] > 0
    assert [limit.seconds_to_wait(f"2001:db8::{n}") for n in range(4)][-1] > 0
    for number in range(MAX_ADDRESSES + 10):
        limit.seconds_to_wait(f"host-{number}")
    assert len(limit._buckets) == MAX_ADDRESSES
