"""The hub: asked once whether it answers, since its client would retry every file for minutes."""

import os
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

ENDPOINT = "https://huggingface.co"
SECONDS = 5.0
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def use_cache_without_hub(paths: Iterable[str | None]) -> str | None:
    """Switch to the hub's local cache where one of `paths` is a hub name and the hub does not answer.

    Returns a warning in that case, None otherwise. Behind a proxy, and where the user chose offline mode, nothing is
    asked.
    """
    names = [path for path in paths if path and _is_hub_name(path)]
    decided = any(os.environ.get(name) for name in (*OFFLINE, *PROXIES))
    if not names or decided or _answers(os.environ.get("HF_ENDPOINT") or ENDPOINT):
        return None
    os.environ |= dict.fromkeys(OFFLINE, "1")
    for module, name in (("huggingface_hub.constants", OFFLINE[0]), ("datasets.config", OFFLINE[1])):
        if module in sys.modules:  # imported already, they have read the environment
            setattr(sys.modules[module], name, True)
    return f"the hub does not answer within {SECONDS:g} s; {', '.join(names)} must be in its local cache"


def _is_hub_name(path: str) -> bool:
    name = path.removeprefix("hub:")
    """A data set begins with hub:, and a model has one slash at most."""
    return not Path(name).expanduser().exists() and (name != path or ("/" in name[1:] and name.count("/") == 1))


def _answers(endpoint: str) -> bool:
    address = urlsplit(endpoint)
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname or "", port), timeout=SECONDS).close()
    except OSError:
        return False
    return True
