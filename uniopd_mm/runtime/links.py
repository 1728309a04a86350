"""Links in a folder that may be a stranger's: what they point to outside of it is neither read nor written."""

import os
from collections.abc import Iterator
from pathlib import Path

from uniopd_mm.types import UserError


def check_inside(folder: Path, key: str) -> None:
    """Raises UserError for a link below `folder` that leads out of it or nowhere, and for what is neither file nor
    folder, such as a pipe. The folder itself may be a link. The error names the configuration key `key`."""
    root = folder.resolve()
    try:
        special = list(_special(folder))
    except OSError as error:
        raise UserError(f"{key}={folder}: {error.filename}: {error.strerror}; make it readable") from error
    for path in special:
        target = path.resolve()
        if not path.is_symlink():
            raise UserError(f"{key}={folder}: {path} is neither a file nor a folder; remove it")
        if not target.is_relative_to(root) or not target.exists():
            raise UserError(
                f"{key}={folder}: {path} is a link to {os.readlink(path)}, which is not in this folder; replace it "
                "with what it points to, or remove it"
            )


def _special(folder: Path) -> Iterator[Path]:
    """Everything below a folder that is neither a plain file nor a folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _special(Path(entry.path))
            elif not entry.is_file(follow_symlinks=False):
                yield Path(entry.path)
