"""Where compiled kernels and development keys are kept between runs."""

import os
from pathlib import Path


def cache_directory() -> Path:
    """`GELAP_CACHE_DIR`, else `$XDG_CACHE_HOME/gelap`, else `~/.cache/gelap`; not created here."""
    chosen = os.environ.get("GELAP_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "gelap"
