"""Which workers are alive, what they prove, and the public key that inputs are sealed to."""

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import cast

import redis
import structlog

from worker.errors import ConfigurationError
from worker.jobs import load_script

BEAT_SECONDS = 2.0
SILENCE_SECONDS = 10.0
FAKE_DEVICE = "fake"

log = structlog.get_logger("gelap.registry")


@dataclass(frozen=True)
class LiveWorker:
    """A worker as it describes itself at every heartbeat.

    `circuits` are the names of the circuits that it proves, `keys` the digests of their verification keys, `batch` the
    most jobs it proves at once, `in_hand` the jobs it has now, `done` those it has ended since it started.
    """

    id: str
    circuits: tuple[str, ...]
    keys: tuple[bytes, ...] = ()
    device: str = ""
    batch: int = 1
    in_hand: int = 0
    done: int = 0

    @property
    def fake(self) -> bool:
        """Its device is a stand-in: what it makes are no proofs."""
        return self.device == FAKE_DEVICE

    def to_json(self) -> str:
        return json.dumps(asdict(self) | {"keys": [key.hex() for key in self.keys]})

    @classmethod
    def from_json(cls, text: bytes) -> "LiveWorker":
        """A worker of another release may say more, or less."""
        document = json.loads(text)
        known = {each.name: document[each.name] for each in fields(cls) if each.name in document}
        keys = tuple(bytes.fromhex(key) for key in known.pop("keys", ()))
        return cls(**known | {"circuits": tuple(known["circuits"]), "keys": keys})


class Registry:
    """The workers' table in Redis; raises `redis.RedisError` when Redis fails."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._register = load_script(client, "register")
        self._live = load_script(client, "live_workers")

    def register(self, worker: LiveWorker, public_key: bytes) -> None:
        """Say that a worker is alive, and publish its cluster key.

        Raises ConfigurationError when live workers hold another key, or have real devices where this one's is fake.
        """
        silence = round(SILENCE_SECONDS * 1000)
        answer = self._register(args=[worker.id, worker.to_json(), public_key, silence, int(worker.fake)])
        if answer == 0:
            raise ConfigurationError(
                "the workers of this cluster hold another cluster key: give every worker the same key file "
                "(GELAP_CLUSTER_KEY_FILE), or stop the others first to change the key"
            )
        if answer < 0:
            raise ConfigurationError(
                "this cluster has workers with real devices and cannot take fake ones, or the other way round: "
                "use another Redis, or stop the others first"
            )

    def remove(self, worker: LiveWorker) -> None:
        with self._client.pipeline() as pipeline:
            pipeline.zrem("gelap:workers:seen", worker.id)
            pipeline.hdel("gelap:workers", worker.id)
            pipeline.execute()

    def live_workers(self) -> list[LiveWorker]:
        """Return the workers seen in the last ten seconds."""
        found = self._live(args=[round(SILENCE_SECONDS * 1000)])
        return [LiveWorker.from_json(description) for description in found if description]

    def cluster_key(self) -> bytes | None:
        """Return the published X25519 public key, 32 bytes; None when no worker has been here yet."""
        return cast(bytes | None, self._client.get("gelap:cluster-key"))


class Heartbeat:
    """Keeps a worker registered from a thread of its own, until `stop`; `describe` tells what it is doing now."""

    def __init__(self, registry: Registry, describe: Callable[[], LiveWorker], public_key: bytes) -> None:
        self._registry = registry
        self._describe = describe
        self._public_key = public_key
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Register once, then keep at it. Raises ConfigurationError, see `Registry.register`."""
        self._registry.register(self._describe(), self._public_key)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        try:
            self._registry.remove(self._describe())
        except redis.RedisError as error:
            log.warning("could not sign off", reason=str(error))

    def _beat(self) -> None:
        while not self._stopping.wait(BEAT_SECONDS):
            try:
                self._registry.register(self._describe(), self._public_key)
            except ConfigurationError as error:
                log.error("this worker should not be here", reason=str(error))
            except redis.RedisError as error:
                log.warning("no heartbeat: Redis does not answer", reason=str(error))
