"""Celery as the carrier of job ids from gateways to workers; what state a job is in is for `worker.jobs` alone."""

from typing import Any

import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from worker.jobs import QUEUE

log = structlog.get_logger("gelap.queue")

TASK = "gelap.run"
# Redelivery is the slow second net: it must not come before the longest proof has ended.
VISIBILITY_SECONDS = 3600


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


def send(app: Celery, job_id: str) -> None:
    """Send a job's id to the workers. If that fails the job is queued all the same, and a gateway's reaper sends it."""
    options: dict[str, Any] = {"argsrepr": "", "kwargsrepr": ""}
    try:
        app.send_task(TASK, args=[job_id], queue=QUEUE, ignore_result=True, **options)
    except OperationalError as error:
        log.warning("job not sent to the workers yet", job=job_id, reason=str(error))
