"""Where things that can be made again are kept: the user's cache folder, or the one `UNIOPD_MM_CACHE` names."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The folder, not necessarily there yet."""
    return Path(os.environ.get("UNIOPD_MM_CACHE") or platformdirs.user_cache_dir("uniopd_mm"))
