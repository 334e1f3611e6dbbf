"""Celery as the carrier of word that jobs wait; which jobs, and what state they are in, is for `worker.jobs` alone."""

import queue
import threading
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Any

import redis
import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from kombu.utils.json import dumps

from worker.jobs import QUEUE
from worker.registry import LiveWorker

log = structlog.get_logger("gelap.queue")

TASK = "gelap.run"
# Redelivery is the slow second net: it must not come before the longest proof has ended.
VISIBILITY_SECONDS = 3600
# A message costs Celery's consumer 0.7 to 1.3 ms of CPU, so workers that prove many jobs at once get word of several in
# one: four of them cost a third, sixteen a twelfth (docs/measurements.md).
_MOST_IN_ONE = 16


def make_app(redis_url: str) -> Celery:
    """Return a Celery app on this Redis; it connects on first use."""
    app = Celery("gelap", broker=redis_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_SECONDS,
            "socket_timeout": 10.0,
            "socket_connect_timeout": 2.0,
        },
        result_backend=None,
        task_acks_late=True,
        task_create_missing_queues=True,
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.0, "interval_step": 0.1},
        task_serializer="json",
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
    )
    return app


def queue_of(key: bytes) -> str:
    """The name of the queue of one proving key."""
    return QUEUE + key.hex()


class Messages:
    """Makes messages that let a worker take one job, for scripts that put them into the broker's list themselves.

    Celery sends one for each proving key to a broker in memory; that one is the pattern of all others. What Celery's
    sending costs, 1.3 ms, is then paid once.
    """

    _PLACEHOLDER = "00000000-0000-0000-0000-000000000000"

    def __init__(self) -> None:
        self._patterns: dict[bytes, str] = {}

    def one(self, key: bytes) -> str:
        """Return a message like no other, as Celery's Redis transport has it in its list."""
        pattern = self._patterns.get(key)
        if pattern is None:
            pattern = self._patterns[key] = self._pattern(key)
        return pattern.replace(self._PLACEHOLDER, str(uuid.uuid4()))

    def _pattern(self, key: bytes) -> str:
        with make_app("memory://") as app, app.connection_for_write() as connection:
            _send(app, key, 1, task_id=self._PLACEHOLDER)
            message = connection.default_channel._get(queue_of(key))
        message["properties"]["delivery_tag"] = self._PLACEHOLDER
        return str(dumps(message))


class Sender:
    """Tells the workers that jobs wait, from a thread of its own: nobody waits for Celery.

    While one message is on its way others gather, and as many go in the next as a worker proves at once. What cannot
    be sent is found by a gateway's reaper.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._waiting: queue.SimpleQueue[tuple[bytes, int] | None] = queue.SimpleQueue()
        self._batches: dict[bytes, int] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def send(self, key: bytes, count: int = 1) -> None:
        """Tell the workers that have this proving key of so many jobs."""
        self._waiting.put((key, count))
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._send_all, name="messages", daemon=True)
                    self._thread.start()

    def learn(self, workers: Iterable[LiveWorker]) -> None:
        """Hear which workers live now, and so how many jobs go in one message."""
        batches: dict[bytes, int] = {}
        for worker in workers:
            for key in worker.keys:
                batches[key] = min(batches.get(key, _MOST_IN_ONE * 2), worker.batch)
        self._batches = batches

    def most_in_one(self, key: bytes) -> int:
        """Half of the smallest batch among the workers with this key, so that one message never fills a worker."""
        return min(max(self._batches.get(key, 1) // 2, 1), _MOST_IN_ONE)

    def stop(self) -> None:
        """Send what waits, within two seconds."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(2.0)

    def _send_all(self) -> None:
        going_on = True
        while going_on:
            gathered: Counter[bytes] = Counter()
            items = [self._waiting.get()]
            while not self._waiting.empty():
                items.append(self._waiting.get())
            for item in items:
                if item is None:
                    going_on = False
                else:
                    gathered[item[0]] += item[1]
            for key, count in gathered.items():
                tell(self._app, key, count, self.most_in_one(key))


def tell(app: Celery, key: bytes, jobs: int, most_in_one: int = 1) -> None:
    """Tell the workers that have this proving key of so many jobs. What cannot be sent is only logged."""
    while jobs > 0:
        part = min(jobs, most_in_one)
        try:
            _send(app, key, part)
        except (OperationalError, redis.RedisError) as error:
            log.warning("workers not told of jobs yet", key=key.hex()[:16], jobs=jobs, reason=str(error))
            return
        jobs -= part


def _send(app: Celery, key: bytes, jobs: int, **options: Any) -> None:
    # Celery would put its arguments into every message once more, as text.
    options |= {"argsrepr": "", "kwargsrepr": ""}
    app.send_task(TASK, args=[key.hex(), jobs], queue=queue_of(key), ignore_result=True, **options)
