"""`gelap wallet`: the commands. How each ends is in `wallet.exit_codes`, what it prints in `wallet.output`."""

from wallet.command import app
from wallet.commands import keys, looking, paying

__all__ = ["app", "keys", "looking", "paying"]
