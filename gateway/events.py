"""Wakes those who wait for a job when its state changes, from one Redis subscription for the whole gateway."""

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator

import redis
import structlog

from worker.jobs import EVENTS, Event, Job

log = structlog.get_logger("gelap.events")


class Change:
    """Set when a job may have changed; `ended` is the job if the news that it has ended said so themselves."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.ended: Job | None = None

    def clear(self) -> None:
        self._event.clear()

    def set(self, ended: Job | None) -> None:
        self.ended = self.ended or ended
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Return when it is set, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)


class JobEvents:
    """Start it from the event loop it is to wake.

    A message may get lost with the connection; after a reconnection everybody looks.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._waiting: dict[str, set[Change]] = defaultdict(set)
        self._waiting_for_end: dict[str, set[Change]] = defaultdict(set)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="job events", daemon=True)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def wake_all(self) -> None:
        """Have everybody look again; call it from the event loop."""
        self._wake(None, None)

    @contextlib.contextmanager
    def changes(self, job_id: str, *, to_an_end: bool = False) -> Iterator[Change]:
        """Yield what is set when the job may have changed, or ended; clear it before looking at the job."""
        change = Change()
        waiting = self._waiting_for_end if to_an_end else self._waiting
        waiting[job_id].add(change)
        try:
            yield change
        finally:
            waiting[job_id].discard(change)
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
                            self._tell(Event.parse(message["data"]))
            except redis.RedisError as error:
                log.warning("no news of jobs: Redis does not answer", reason=str(error))
                self._stopping.wait(1.0)

    def _tell(self, event: Event | None) -> None:
        """Wake those whom the event is for, everybody for None."""
        ended = None
        if event is not None:
            waited_for = event.id in self._waiting or (event.state.ended and event.id in self._waiting_for_end)
            if not waited_for:
                # Whoever starts waiting now reads the job after this, so it need not reach the loop.
                return
            ended = event.job()
        with contextlib.suppress(RuntimeError):  # the loop is closed: the gateway is stopping
            self._loop.call_soon_threadsafe(self._wake, event, ended)

    def _wake(self, event: Event | None, ended: Job | None) -> None:
        to_an_end = event is None or event.state.ended
        for waiting in (self._waiting, self._waiting_for_end) if to_an_end else (self._waiting,):
            for changes in list(waiting.values()) if event is None else [waiting.get(event.id, set())]:
                for change in changes:
                    change.set(ended)
