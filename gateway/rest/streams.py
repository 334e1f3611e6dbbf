"""What takes longer over HTTP: answers whose caller may hang up, and streams of events."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from gateway.failures import failure_of
from gateway.rest import models
from gateway.status import problem_of
from proto import prover_pb2 as messages

# Proxies cut connections that are silent for a minute or so.
KEEP_ALIVE = 15.0

T = TypeVar("T")


async def until_hung_up(request: Request, answer: Coroutine[Any, Any, T]) -> T:
    """Wait for an answer as long as the caller does. Raises ClientDisconnect."""
    work = asyncio.create_task(answer)
    gone = asyncio.create_task(_hung_up(request))
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientDisconnect
        return work.result()
    finally:
        for task in (work, gone):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await asyncio.gather(work, gone, return_exceptions=True)


async def job_events(first: messages.Job, watch: AsyncIterator[messages.Job]) -> AsyncIterator[bytes]:
    """Server-sent events: `data` is a job; an event `problem` says why the stream ends before the job does."""
    yield _event(models.Job.of(first).model_dump_json())
    following = asyncio.ensure_future(anext(watch, None))
    try:
        while True:
            done, _ = await asyncio.wait((following,), timeout=KEEP_ALIVE)
            if not done:
                yield b": still going on\n\n"
                continue
            job = following.result()
            if job is None:
                return
            yield _event(models.Job.of(job).model_dump_json())
            following = asyncio.ensure_future(anext(watch, None))
    except Exception as error:
        problem = models.Problem(**problem_of(*failure_of(error)))
        yield _event(problem.model_dump_json(exclude_none=True), "problem")
    finally:
        following.cancel()


def _event(data: str, name: str = "job") -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()


async def _hung_up(request: Request) -> None:
    """Return when the caller closes the connection; the request's body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
