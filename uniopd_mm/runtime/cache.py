"""Where things that can be made again are kept: the user's cache folder, or the one `UNIOPD_MM_CACHE` names."""

import os
from pathlib import Path

import platformdirs

from uniopd_mm.types import UserError


def cache_folder() -> Path:
    """The folder, not necessarily there yet."""
    return Path(os.environ.get("UNIOPD_MM_CACHE") or platformdirs.user_cache_dir("uniopd_mm"))


def made_cache_folder(*parts: str) -> Path:
    """A folder below it, which is there.

    Raises:
        UserError: it cannot be made.
    """
    folder = cache_folder().joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"UNIOPD_MM_CACHE: {folder}: {error.strerror}; name a folder to write in with it") from error
    return folder
