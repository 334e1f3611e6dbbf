"""Which workers are alive, what they prove, and the public key that inputs are sealed to."""

import json
import threading
from dataclasses import asdict, dataclass
from typing import cast

import redis
import structlog

from worker.errors import ConfigurationError
from worker.jobs import load_script

BEAT_SECONDS = 2.0
SILENCE_SECONDS = 10.0

log = structlog.get_logger("gelap.registry")


@dataclass(frozen=True)
class LiveWorker:
    """`circuits` are the names of the circuits that it proves."""

    id: str
    circuits: tuple[str, ...]


class Registry:
    """The workers' table in Redis; raises `redis.RedisError` when Redis fails."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._register = load_script(client, "register")
        self._live = load_script(client, "live_workers")

    def register(self, worker: LiveWorker, public_key: bytes) -> bool:
        """Say that a worker is alive, and publish its cluster key; False when live workers hold another key."""
        description = json.dumps(asdict(worker))
        return bool(self._register(args=[worker.id, description, public_key, round(SILENCE_SECONDS * 1000)]))

    def remove(self, worker: LiveWorker) -> None:
        with self._client.pipeline() as pipeline:
            pipeline.zrem("gelap:workers:seen", worker.id)
            pipeline.hdel("gelap:workers", worker.id)
            pipeline.execute()

    def live_workers(self) -> list[LiveWorker]:
        """Return the workers seen in the last ten seconds."""
        found = self._live(args=[round(SILENCE_SECONDS * 1000)])
        described = [json.loads(description) for description in found if description]
        return [LiveWorker(item["id"], tuple(item["circuits"])) for item in described]

    def cluster_key(self) -> bytes | None:
        """Return the published X25519 public key, 32 bytes; None when no worker has been here yet."""
        return cast(bytes | None, self._client.get("gelap:cluster-key"))


class Heartbeat:
    """Keeps a worker registered from a thread of its own, until `stop`."""

    def __init__(self, registry: Registry, worker: LiveWorker, public_key: bytes) -> None:
        self._registry = registry
        self._worker = worker
        self._public_key = public_key
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Register once, then keep at it. Raises ConfigurationError when live workers hold another cluster key."""
        if not self._registry.register(self._worker, self._public_key):
            raise ConfigurationError(
                "the workers of this cluster hold another cluster key: give every worker the same key file "
                "(GELAP_CLUSTER_KEY_FILE), or stop the others first to change the key"
            )
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        try:
            self._registry.remove(self._worker)
        except redis.RedisError as error:
            log.warning("could not sign off", reason=str(error))

    def _beat(self) -> None:
        while not self._stopping.wait(BEAT_SECONDS):
            try:
                if not self._registry.register(self._worker, self._public_key):
                    log.error("the other workers hold another cluster key: stop this worker and give it their key file")
            except redis.RedisError as error:
                log.warning("no heartbeat: Redis does not answer", reason=str(error))
