"""Pages from an indexer: a stream that breaks off goes on, and one that lies ends in one clear error."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chain.errors import ReorgError, SourceError
from chain.events import CommitmentQueued, EventPage
from chain.stream.format import Frame, encode_frame, encode_header
from chain.stream.records import BlockId, Queued
from chain.stream.source import ATTEMPTS, IndexerSource

CHAIN_ID, POOL = 31337, bytes(range(20))


def block(number: int) -> BlockId:
    return BlockId(number, number.to_bytes(32, "big"), 1_000 + number)


def frame(number: int) -> Frame:
    """One block with one commitment."""
    queued = Queued(number, 0, b"\7" * 32, number, b"\1" * 32, bytes(224))
    return Frame(number, block(number), number, 0, [block(number)], [queued])


@dataclass
class Answer:
    """One answer of the indexer: HTTP status, body, and how many bytes of it arrive; `length` False: chunked."""

    status: int = 200
    body: bytes = b""
    arrive: int | None = None
    chunked: bool = True
    headers: dict[str, str] = field(default_factory=dict)


def stream(*numbers: int, chain_id: int = CHAIN_ID, **how: Any) -> Answer:
    return Answer(body=encode_header(chain_id, POOL) + b"".join(encode_frame(frame(n)) for n in numbers), **how)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Indexer"

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(path.query).items()}
        self.server.asked.append((path.path, asked))
        answer = self.server.answers(path.path, asked)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        body = answer.body if answer.arrive is None else answer.body[: answer.arrive]
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b"")
            if answer.arrive is None:
                self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(body)
        self.close_connection = answer.arrive is not None

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Indexer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answers: Callable[[str, dict[str, str]], Answer]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


@contextlib.contextmanager
def indexer(*answers: Answer, tip: int | None = 9) -> Iterator[tuple[_Indexer, IndexerSource, list[float]]]:
    """An indexer that gives these answers to questions for events, the last one again and again; what it was asked, a
    source that reads from it, and the pauses that the source made."""
    left = list(answers)
    newest = None if tip is None else {"number": tip, "hash": "0x" + block(tip).hash.hex(), "timestamp": 5}

    def answer(path: str, _: dict[str, str]) -> Answer:
        if path == f"/v1/chains/{CHAIN_ID}/status":
            return Answer(body=json.dumps({"tip": newest}).encode())
        assert path == f"/v1/chains/{CHAIN_ID}/events"
        return left.pop(0) if len(left) > 1 else left[0]

    server = _Indexer(answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    pauses: list[float] = []
    source = IndexerSource(
        f"http://name:secret@127.0.0.1:{server.server_port}/secret/", CHAIN_ID, "0x" + POOL.hex(), sleep=pauses.append
    )
    server.answers = lambda path, query: answer(path.removeprefix("/secret"), query)
    try:
        with source:
            yield server, source, pauses
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def numbers(pages: Iterator[EventPage]) -> list[int]:
    found = []
    for page in pages:
        (event,) = page.events
        assert isinstance(event, CommitmentQueued)
        assert (event.position, event.origin.block_number) == (page.last_block, page.last_block)
        found.append(page.last_block)
    return found


@pytest.mark.parametrize("chunked", [True, False])
def test_a_stream_that_breaks_off_goes_on_after_its_last_whole_frame(chunked: bool) -> None:
    whole = stream(1, 2, 3)
    size = len(encode_frame(frame(1)))
    broken = stream(1, 2, 3, arrive=38 + 2 * size + 5, chunked=chunked)
    with indexer(broken, stream(3)) as (server, source, pauses):
        assert numbers(source.pages()) == [1, 2, 3]
    assert [query for _, query in server.asked] == [{}, {"after": "2", "hash": "0x" + block(2).hash.hex()}]
    assert pauses == [1.0]
    assert len(whole.body) == 38 + 3 * size


def test_wherever_a_stream_breaks_off_nothing_is_lost_or_read_twice() -> None:
    whole = stream(1, 2)
    for length in range(0, len(whole.body), 37):
        read_on = max(0, (length - 38) // len(encode_frame(frame(1))))
        with indexer(stream(1, 2, arrive=length), stream(*range(read_on + 1, 3))) as (_, source, _):
            assert numbers(source.pages()) == [1, 2], length


def test_it_waits_as_long_as_it_is_told_and_gives_up_when_nothing_comes() -> None:
    busy = Answer(429, headers={"Retry-After": "3"})
    with indexer(busy, Answer(503), stream(1)) as (_, source, pauses):
        assert numbers(source.pages()) == [1]
    assert pauses == [3.0, 2.0]
    with indexer(busy) as (server, source, pauses), pytest.raises(SourceError, match="HTTP status 429: try another"):
        list(source.pages())
    assert (len(server.asked), pauses) == (ATTEMPTS, [3.0, 3.0, 4.0])


def test_an_indexer_that_progresses_a_frame_at_a_time_is_followed_to_the_end() -> None:
    broken = [stream(n, n + 1, arrive=38 + len(encode_frame(frame(n)))) for n in range(2 * ATTEMPTS)]
    with indexer(*broken, stream(2 * ATTEMPTS)) as (_, source, _):
        assert numbers(source.pages()) == list(range(2 * ATTEMPTS + 1))


def test_a_replaced_block_and_an_indexer_that_is_behind_are_told_apart() -> None:
    known = (5, "0x" + "ab" * 32)
    with indexer(Answer(409), tip=9) as (_, source, _), pytest.raises(ReorgError, match="another block 5"):
        list(source.pages(known))
    for tip in (4, None):
        with indexer(Answer(409), tip=tip) as (_, source, _):
            assert list(source.pages(known)) == []


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([stream(1, chain_id=1)], "another pool or chain"),
        ([Answer(body=b"<html>" + bytes(100))], "no answer of a Gelap indexer"),
        ([stream(1, 3)], "leaves blocks out"),
        ([stream(2, 1)], "leaves blocks out"),
        ([Answer(body=stream(1).body[:50] + b"\xff" * 500)], "is damaged"),
        ([Answer(404)], "no indexer of chain"),
        ([Answer(302, headers={"Location": "http://elsewhere.example/"})], "is it an indexer's address"),
    ],
)
def test_what_an_indexer_should_not_send_is_one_clear_error(answers: list[Answer], message: str) -> None:
    with indexer(*answers) as (_, source, pauses), pytest.raises(SourceError, match=message) as raised:
        list(source.pages())
    assert "secret" not in str(raised.value)
    assert pauses == [], "a lie is not asked for again"


def test_nobody_there_and_no_url_are_clear_errors_without_the_urls_secrets() -> None:
    source = IndexerSource("http://u:secret@127.0.0.1:9/secret", 1, "0x" + POOL.hex(), sleep=lambda _: None)
    for asking in (lambda: list(source.pages()), source.tip):
        with pytest.raises(SourceError, match="9 does not answer") as raised:
            asking()
        assert "secret" not in str(raised.value)
    for url in ("", "indexer.example", "ftp://secret", "http://"):
        with pytest.raises(SourceError, match="http or https URL") as raised:
            IndexerSource(url, 1, "0x" + POOL.hex())
        assert "secret" not in str(raised.value)
    with pytest.raises(SourceError, match="cannot be asked"):
        IndexerSource("https://127.0.0.1:9", 1, "0x" + POOL.hex(), ca_file="/nowhere/ca").tip()


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"tip": {"number": "x"}}', b"{" * 99_999, b" " * 99_999])
def test_a_status_of_no_known_form_is_one_clear_error(body: bytes) -> None:
    with indexer(Answer()) as (server, source, _):
        server.answers = lambda *_: Answer(body=body)
        with pytest.raises(SourceError):
            source.tip()


def test_a_stream_may_be_left_in_the_middle() -> None:
    with indexer(stream(1, 2, 3)) as (_, source, _):
        pages = source.pages()
        assert next(pages).last_block == 1
        pages.close()  # type: ignore[attr-defined]
        assert numbers(source.pages()) == [1, 2, 3]
