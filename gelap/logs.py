"""Logs of the long-running commands: one JSON object a line on stderr, our own lines and those of libraries alike.

Tracebacks never show local variables: a witness may be among them.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from enum import StrEnum
from typing import Any

import structlog


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


# They tell of every task or connection at INFO, which our own lines already do in the terms of jobs.
_TALKATIVE = ("amqp", "asyncio", "celery", "grpc", "kombu", "numba", "uvicorn")


def configure_logs(level: LogLevel = LogLevel.INFO) -> None:
    """Send structlog and the standard library's logging to stderr as JSON, from `level` on."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    without_locals = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=30)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.ExceptionRenderer(without_locals),
            _leading,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _leading(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put what every line has first."""
    first = {key: line.pop(key) for key in ("timestamp", "level", "logger", "event") if key in line}
    return first | dict(line)


def where(error: BaseException) -> list[str]:
    """Return the places an exception went through, innermost last.

    Without its message and without local variables: `int('...')` alone would put a witness value into the log.
    """
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
