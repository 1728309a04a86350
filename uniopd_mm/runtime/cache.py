"""The cache folder, for files that can be rebuilt: `UNIOPD_MM_CACHE`, or the user's cache folder by default."""

import os
from pathlib import Path

import platformdirs

from uniopd_mm.types import UserError


def cache_folder() -> Path:
    """The folder, which may not exist yet."""
    return Path(os.environ.get("UNIOPD_MM_CACHE") or platformdirs.user_cache_dir("uniopd_mm"))


def made_cache_folder(*parts: str) -> Path:
    """A folder inside the cache folder, created if missing.

    Raises:
        UserError: it cannot be created.
    """
    folder = cache_folder().joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"UNIOPD_MM_CACHE: {folder}: {error.strerror}; set it to a writable folder") from error
    return folder
