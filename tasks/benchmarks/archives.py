"""Finds the media that a data set's rows name: files of its repository, or members of its zip and tar archives.

A repository's files are looked for in $UNIOPD_MM_DATA_ROOT/OWNER/NAME, in ./OWNER/NAME (as the `datasets` library does)
and in the hub's own cache, which downloads what is missing. A member of an archive has the path that it would have if
unpacked into a folder with the archive's name: `a.mp4` in `data/v.zip` is `data/v/a.mp4`. A name matches every path
that ends with it, so a caller may give only the part of the path that it knows.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from uniopd_mm.tasks.benchmarks.unpacking import Member, tars, unpacked_member, unpacked_tar, zip_members
from uniopd_mm.types import BadSample

DATA_ROOT = "UNIOPD_MM_DATA_ROOT"
_ARCHIVE_SUFFIX = re.compile(r"\.(?:zip|tar\.(?:gz|xz|bz2)|tgz|tar)$", re.IGNORECASE)
Source = Path | Member


def media_file(repo: str, *names: str) -> str:
    """The absolute path of a medium of the data set `repo` ("OWNER/NAME"), under the first of these names that exists.

    Plain files come before members of zips, and these before tars, which are unpacked whole. A path that equals the
    name comes before paths that end with it.

    Raises:
        BadSample: there is no such file, or there are several.
        UserError: there is no room to unpack it.
    """
    for listing in _listings(_folder_of(repo)):
        if found := _only(repo, listing.files_by_name, names):
            return _opened(listing.sources[found])
    raise _missing(repo, names)


def media_folder(repo: str, *names: str) -> list[str]:
    """The absolute paths of all files in a folder of the data set, in numerical order ("2.jpg" before "10.jpg").
    Otherwise like `media_file`."""
    for listing in _listings(_folder_of(repo)):
        if found := _only(repo, listing.folders_by_name, names):
            return [_opened(listing.sources[path]) for path in sorted(listing.files_of[found], key=_counted)]
    raise _missing(repo, names)


def data_set(repo: str) -> str:
    """The argument of `datasets.load_dataset` for a data set: the folder with its files, or its name on the hub."""
    return str(_local_folder(repo) or repo)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Listing:
    """The files of a repository. Paths are relative, with "/"."""

    sources: Mapping[str, Source]
    files_of: Mapping[str, Sequence[str]]  # by folder, the files directly in it
    files_by_name: Mapping[str, Sequence[str]]  # paths by their last part
    folders_by_name: Mapping[str, Sequence[str]]


def _listed(sources: Mapping[str, Source]) -> _Listing:
    files_of: dict[str, list[str]] = {}
    for path in sources:
        files_of.setdefault(path.rpartition("/")[0], []).append(path)
    return _Listing(
        sources=sources, files_of=files_of, files_by_name=_by_name(sources), folders_by_name=_by_name(files_of)
    )


def _by_name(paths: Mapping[str, object]) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for path in paths:
        named.setdefault(path.rpartition("/")[2], []).append(path)
    return named


def _listings(folder: Path | None) -> Iterator[_Listing]:
    """Files, then members of zips, then each tar, which is unpacked when its listing is needed."""
    if folder is None:
        return
    yield _open_files(folder)
    yield _zipped_files(folder)
    for name, parts in tars(sorted(_paths(folder))):
        yield _files_of_tar(_ARCHIVE_SUFFIX.sub("", name), tuple(folder / part for part in parts))


@cache
def _paths(folder: Path) -> tuple[str, ...]:
    """Relative paths of all files below a folder, except hidden ones, such as the hub library's own."""
    found: list[str] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        relative = Path(parent).relative_to(folder).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        found += [prefix + name for name in sorted(files) if not name.startswith(".")]
    return tuple(found)


@cache
def _open_files(folder: Path) -> _Listing:
    return _listed({path: folder / path for path in _paths(folder)})


@cache
def _zipped_files(folder: Path) -> _Listing:
    """The members of all zips. Those of a damaged zip are missing, and `_missing` says why."""
    sources: dict[str, Source] = {}
    for path in _paths(folder):
        if path.lower().endswith(".zip"):
            root = _ARCHIVE_SUFFIX.sub("", path)
            sources |= {f"{root}/{member.name}": member for member in _members(folder / path)[0]}
    return _listed(sources)


@cache
def _members(archive: Path) -> tuple[tuple[Member, ...], str | None]:
    """(members, the reason if there are none)."""
    try:
        return zip_members(archive), None
    except BadSample as error:
        return (), str(error)


@cache
def _files_of_tar(root: str, parts: tuple[Path, ...]) -> _Listing:
    unpacked = unpacked_tar(parts)
    return _listed({f"{root}/{path}": unpacked / path for path in _paths(unpacked)})


def _only(repo: str, named: Mapping[str, Sequence[str]], names: Sequence[str]) -> str | None:
    """The path that matches the first of the names with any match. Raises BadSample if several paths match it."""
    for name in names:
        tidy = name.replace("\\", "/").removeprefix("./").strip("/")
        candidates = named.get(tidy.rpartition("/")[2], ())
        found = [path for path in candidates if path == tidy] or [
            path for path in candidates if path.endswith(f"/{tidy}")
        ]
        if len(found) > 1:
            raise BadSample(f"{repo}: {name} could be {', '.join(found[:4])}; leave only one of these files there")
        if found:
            return found[0]
    return None


def _opened(source: Source) -> str:
    return unpacked_member(source) if isinstance(source, Member) else str(source)


def _counted(path: str) -> list[tuple[int, int | str]]:
    """A sort key in which numbers in a path count by their value."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d{1,18})", path) if part]


def _folder_of(repo: str) -> Path | None:
    """The folder with the repository's files; None if there is none."""
    return _local_folder(repo) or _snapshot(repo)[0]


def _local_folder(repo: str) -> Path | None:
    root = os.environ.get(DATA_ROOT)
    folders = ([Path(root).expanduser() / repo] if root else []) + [Path(repo)]
    return next((folder.absolute() for folder in folders if folder.is_dir()), None)


@cache
def _snapshot(repo: str) -> tuple[Path | None, str | None]:
    """(the hub's copy, the reason if there is none). Cached, so that the hub is not asked again for each question."""
    import huggingface_hub  # takes half a second, so it is imported only where it is needed

    try:
        return Path(huggingface_hub.snapshot_download(repo, repo_type="dataset")), None
    except Exception as error:  # noqa: BLE001 - network and server errors of any kind
        return None, " ".join(str(error).split())[:200] or type(error).__name__


def _missing(repo: str, names: Sequence[str]) -> BadSample:
    """The error for a missing file: its data set, where it was looked for, and the remedy."""
    folder = _folder_of(repo)
    remedy = f"download it with `hf download {repo} --repo-type dataset --local-dir FOLDER/{repo}` and set \
{DATA_ROOT}=FOLDER"
    if folder is None:
        return BadSample(f"{repo}: {names[0]}: the data set is not here ({_snapshot(repo)[1]}); {remedy}")
    damaged = [_members(folder / path)[1] for path in _paths(folder) if path.lower().endswith(".zip")]
    reasons = "; ".join(reason for reason in damaged if reason)
    return BadSample(f"{repo}: {names[0]}: not in {folder}{f' ({reasons})' if reasons else ''}; {remedy}")
