"""How long and how many: what the job store goes by."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Limits(BaseSettings):
    """How long and how many; seconds, unless said otherwise. A field `lease` is the variable `GELAP_LIMIT_LEASE`.

    All gateways and workers of a cluster should have the same.
    """

    model_config = SettingsConfigDict(env_prefix="GELAP_LIMIT_", frozen=True, extra="ignore")

    lease: float = Field(default=8.0, gt=0, description="a worker that has not renewed its lease for so long is lost")
    attempt: float = Field(default=900.0, gt=0, description="longer attempts count as workers that hang")
    keep_finished: float = Field(default=3600.0, gt=0, description="how long a job can be asked for after its end")
    keep_proofs: float = Field(default=3600.0, gt=0, description="how long a proof stays in the cache")
    keep_idempotency: float = Field(default=86400.0, gt=0, description="how long an idempotency key counts")
    queued_jobs: int = Field(default=1000, ge=1, description="jobs that may wait; nine tenths of them one tenant's")
    oldest: float = Field(default=300.0, gt=0, description="a circuit takes no more jobs while one has waited longer")
    aging: float = Field(default=30.0, ge=0, description="bulk jobs that have waited so much longer go first")
    retries: int = Field(default=2, ge=0, description="tries after the first one")
    losses: int = Field(default=3, ge=0, description="lost workers that a job may survive")
    stranded: float = Field(default=5.0, gt=0, description="a job that has waited longer may have lost its message")
    wrong_jobs: int = Field(default=3, ge=1, description="jobs whose proof does not verify that stop their circuit")
    wrong_window: float = Field(default=300.0, gt=0, description="the time in which they count together")
