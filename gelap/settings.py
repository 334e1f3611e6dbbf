"""All configuration in one typed place: environment variables `GELAP_*`.

URLs choose the real parts. Only `gelap up`, `gelap demo` and test fixtures start private servers; every other command
is told where its servers are and stops with a clear error when it is not.
"""

from functools import cached_property
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from prover.cache import cache_directory


class Settings(BaseSettings):
    """Read once per process; a field `redis_url` is the variable `GELAP_REDIS_URL`."""

    model_config = SettingsConfigDict(env_prefix="GELAP_", extra="ignore")

    redis_url: str | None = Field(default=None, description="Redis of the cluster: queue, job store and proof cache")
    rpc_url: str | None = Field(default=None, description="JSON-RPC endpoint of the chain")
    cache_dir: Path = Field(default_factory=cache_directory, description="compiled kernels and development keys")
    key_dir: Path | None = Field(
        default=None, description="proving keys and manifest.json; default: keys/ in the cache directory"
    )
    cluster_key_file: Path | None = Field(default=None, description="the workers' X25519 private key, PEM, mode 600")
    gateway_address: str = Field(default="127.0.0.1:50051", description="where the gateway serves gRPC")
    api_key: str | None = Field(default=None, repr=False, description="the API key of whoever calls a gateway")
    database_url: str | None = Field(
        default=None, repr=False, description="the indexer's PostgreSQL or SQLite; default: an SQLite file in the cache"
    )
    indexer_redis_url: str | None = Field(
        default=None, repr=False, description="a Redis that keeps finished pages of the indexer's API"
    )
    indexer_address: str = Field(default="127.0.0.1:8090", description="where the indexer serves its API")
    http_address: str = Field(default="127.0.0.1:8080", description="where the gateway serves REST")

    @cached_property
    def keys(self) -> Path:
        return self.key_dir or self.cache_dir / "keys"
