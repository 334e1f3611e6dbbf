"""What a caller has set for programs of their own is no setting of the tests.

A relayer, an indexer or a proxy that is named in the environment would be asked by the commands under test, and spans
would be sent to whoever collects them.
"""

import os

# Where compiled kernels, keys and programs are, and how long the test of the whole product runs.
KEPT = ("GELAP_CACHE_DIR", "GELAP_KEY_DIR", "GELAP_ANVIL", "GELAP_CPU_PATH")
KEPT_GROUPS = ("GELAP_E2E_",)
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

for _name in list(os.environ):
    if _name in KEPT or _name.startswith(KEPT_GROUPS):
        continue
    if _name.startswith(("GELAP_", "OTEL_")) or _name.lower() in PROXIES:
        del os.environ[_name]
