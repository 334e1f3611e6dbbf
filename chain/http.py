"""HTTP connections: one way to make them, and one way to speak about them without showing what must stay private.

URLs of services often hold keys, in their path or before the host. Nothing here puts more of a URL into a message than
its host and port.
"""

import time
from typing import Any
from urllib.parse import urlsplit

import requests
from pydantic_core import from_json

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SCHEMES = ("http", "https")


def host_of(url: str) -> str | None:
    """`host` or `host:port` of an http or https URL, to be shown; None for text that is no such URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in SCHEMES or not host:
        return None
    return host if port is None else f"{host}:{port}"


def open_session(url: str, proxy: str | None = None, ca_file: str | None = None) -> requests.Session:
    """A session for the service at `url`: directly, or through `proxy`, which then looks names up too (socks5h).

    With a proxy nothing is taken from the environment, and nothing goes around it. Without one the environment may name
    a proxy, which is not used for this machine's own services: it could not reach them. `ca_file` holds the
    certificates (PEM) to trust in place of the public ones.
    """
    session = requests.Session()
    session.headers["User-Agent"] = "gelap"
    if proxy is not None:
        session.trust_env = False
        session.proxies = {"http": proxy, "https": proxy}
    elif urlsplit(url).hostname in LOOPBACK:
        session.trust_env = False
    if ca_file is not None:
        # requests would let REQUESTS_CA_BUNDLE of the environment override a session's own file.
        session.trust_env = False
        session.verify = ca_file
    return session


def parse_json(text: bytes) -> Any:
    """A stranger's JSON; raises ValueError for anything else, and for what nests some 200 deep.

    Python's own parser recurses once for each bracket. py-ecc, which web3 brings along, raises the interpreter's limit
    to 100,000: a hundred kilobytes of brackets then overflow the C stack and end the process.
    """
    return from_json(text)


class TooLongError(Exception):
    """The answer is longer than its reader takes."""


def read_body(response: requests.Response, most: int, seconds: float) -> bytes:
    """The body of a response that was asked for with `stream`, as far as it is there.

    Raises TooLongError above `most` bytes, requests.ReadTimeout when it still arrives after `seconds`, however steadily
    it drips, and what requests and urllib3 raise (OSError, urllib3's HTTPError) when it breaks off.
    """
    give_up = time.monotonic() + seconds
    text = bytearray()
    while piece := response.raw.read1(1 << 20, decode_content=True):
        text += piece
        if len(text) > most:
            raise TooLongError
        if time.monotonic() > give_up:
            raise requests.ReadTimeout
    return bytes(text)


def retry_after(response: requests.Response) -> float:
    """What Retry-After says, in seconds; 0 where it says nothing, or a date."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0.0
