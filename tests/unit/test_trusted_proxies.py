"""Whose word a listener takes for the address that asks: that of the proxies it was told of, and nobody else's."""

import asyncio

import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gelap.listener import HttpListener
from gelap.rate_limit import RateLimit
from indexer.api.app import api_app
from indexer.api.served import Api


async def _who(request: Request) -> Response:
    return PlainTextResponse(request.client.host if request.client else "nobody")


def seen_from(proxies: str, forwarded: str | None, listen_at: str = "127.0.0.1:0") -> str:
    """The address that a request from this machine is taken to be from, as its header says `forwarded`."""

    async def ask() -> str:
        app = Starlette(routes=[Route("/", _who)])
        headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        async with HttpListener(app, listen_at, ValueError, proxies=proxies) as listener:
            url = f"http://127.0.0.1:{listener.port}/"
            return (await asyncio.to_thread(requests.get, url, headers=headers, timeout=60)).text

    return asyncio.run(ask())


@pytest.mark.parametrize("proxies", ["", "10.0.0.0/8", "127.0.0.2, 192.168.0.0/16"])
def test_a_header_from_anybody_else_is_ignored(proxies: str) -> None:
    assert seen_from(proxies, "203.0.113.9") == "127.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("203.0.113.9", "203.0.113.9"),
        # What the client wrote itself stands to the left of what the proxy saw.
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1, 203.0.113.9", "203.0.113.9"),
        ("nonsense, 203.0.113.9", "203.0.113.9"),
        # Two proxies in a row.
        ("198.51.100.1, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("2001:db8::7", "2001:db8::7"),
        (None, "127.0.0.1"),
    ],
)
def test_a_trusted_proxy_is_asked_for_the_last_address_that_is_no_proxys(forwarded: str | None, expected: str) -> None:
    assert seen_from("127.0.0.1, 10.0.0.0/8", forwarded) == expected


def test_a_proxy_is_known_by_its_address_on_a_socket_of_both_kinds_too() -> None:
    assert seen_from("127.0.0.0/8", "203.0.113.9", listen_at="[::]:0") == "203.0.113.9"


@pytest.mark.parametrize("proxies", ["*", "proxy.example", "10.0.0.0/33", "10.0.0.1/8"])
def test_what_is_no_address_and_no_network_is_refused(proxies: str) -> None:
    with pytest.raises(ValueError, match="is no proxy to trust: name addresses and networks"):
        HttpListener(Starlette(), "127.0.0.1:0", ValueError, proxies=proxies)


@pytest.mark.parametrize(("proxies", "statuses"), [("127.0.0.1", [200, 200, 200, 429]), ("", [200, 429, 429, 429])])
def test_each_address_behind_a_trusted_proxy_has_a_rate_of_its_own(proxies: str, statuses: list[int]) -> None:
    """Without trust, three addresses in a header are one client that made them up."""

    async def ask() -> list[int]:
        api = Api({}, RateLimit(0.0001, 1))
        async with api, HttpListener(api_app(api), "127.0.0.1:0", ValueError, proxies=proxies) as listener:
            url = f"http://127.0.0.1:{listener.port}/v1/chains"
            answers = []
            for client in ("203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.3"):
                headers = {"X-Forwarded-For": client}
                answers.append(await asyncio.to_thread(requests.get, url, headers=headers, timeout=60))
            return [answer.status_code for answer in answers]

    assert asyncio.run(ask()) == statuses
