"""Tells streams of new blocks: one task looks at the database, however many listen."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from indexer import metrics
from indexer.errors import StoreError
from indexer.reader import Reader, Summary

MAX_STREAMS = 256
_KEEP_ALIVE_SECONDS = 15.0

log = structlog.get_logger("gelap.indexer")


class Tips:
    """The newest state of one pool, and its changes. Runs inside `async with`."""

    def __init__(self, reader: Reader, seconds: float = 0.5) -> None:
        self._reader = reader
        self._seconds = seconds
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.streams = 0
        self.newest: Summary | None = None
        self.database_up = False

    async def __aenter__(self) -> "Tips":
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def close(self) -> None:
        """End all streams."""
        self._closing = True
        async with self._changed:
            self._changed.notify_all()

    async def follow(self) -> AsyncIterator[Summary | None]:
        """The state now and after every change; None when nothing happened for a while."""
        self.streams += 1
        metrics.STREAMS.inc()
        seen: Summary | None = None
        try:
            while not self._closing:
                if self.newest is not None and self.newest != seen:
                    seen = self.newest
                    yield seen
                    continue
                try:
                    async with asyncio.timeout(_KEEP_ALIVE_SECONDS), self._changed:
                        await self._changed.wait()
                except TimeoutError:
                    yield None
        finally:
            self.streams -= 1
            metrics.STREAMS.dec()

    async def _watch(self) -> None:
        while True:
            try:
                summary = await asyncio.to_thread(self._reader.summary)
            except StoreError as error:
                if self.database_up:
                    log.error("the API cannot read the database", reason=str(error))
                self.database_up = False
            else:
                self.database_up = True
                if summary != self.newest:
                    async with self._changed:
                        self.newest = summary
                        self._changed.notify_all()
            await asyncio.sleep(self._seconds)
