"""Wakes those who wait for a job when its state changes, from one Redis subscription for the whole gateway."""

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator

import redis
import structlog

from worker.jobs import EVENTS, State

log = structlog.get_logger("gelap.events")


class JobEvents:
    """Start it from the event loop it is to wake.

    A message may get lost with the connection, so it only says "look again"; after a reconnection everybody looks.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._waiting_for_end: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="job events", daemon=True)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def wake_all(self) -> None:
        """Have everybody look again; call it from the event loop."""
        self._wake(None)

    @contextlib.contextmanager
    def changes(self, job_id: str, *, to_an_end: bool = False) -> Iterator[asyncio.Event]:
        """Yield an event that is set when the job may have changed, or ended; clear it before looking at the job."""
        event = asyncio.Event()
        waiting = self._waiting_for_end if to_an_end else self._waiting
        waiting[job_id].add(event)
        try:
            yield event
        finally:
            waiting[job_id].discard(event)
            if not waiting[job_id]:
                del waiting[job_id]

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._client.pubsub(ignore_subscribe_messages=True) as subscription:
                    subscription.subscribe(EVENTS)
                    self._tell(None)
                    while not self._stopping.is_set():
                        message = subscription.get_message(timeout=1.0)
                        if message is not None:
                            job_id, state = message["data"].decode().split()
                            self._tell(job_id, State(state).ended)
            except redis.RedisError as error:
                log.warning("no news of jobs: Redis does not answer", reason=str(error))
                self._stopping.wait(1.0)

    def _tell(self, job_id: str | None, ended: bool = True) -> None:
        # Whoever starts waiting now reads the job after this, so what nobody waits for need not reach the loop.
        if job_id is None or job_id in self._waiting or (ended and job_id in self._waiting_for_end):
            with contextlib.suppress(RuntimeError):  # the loop is closed: the gateway is stopping
                self._loop.call_soon_threadsafe(self._wake, job_id, ended)

    def _wake(self, job_id: str | None, ended: bool = True) -> None:
        for waiting in (self._waiting, self._waiting_for_end) if ended else (self._waiting,):
            for events in list(waiting.values()) if job_id is None else [waiting.get(job_id, set())]:
                for event in events:
                    event.set()
