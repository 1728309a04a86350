"""Media of a data set, wherever its repository holds them: files, zips, tars, tars in parts; and what is in the way."""

import errno
import io
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from uniopd_mm.tasks.benchmarks import archives, unpacking
from uniopd_mm.tasks.benchmarks.archives import data_set, media_file, media_folder
from uniopd_mm.types import BadSample, UserError

REPO = "owner/name"
HOSTILE = ["../../evil.mp4", "/evil.mp4", "a/../../../evil.mp4", "..\\evil.mp4"]


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNIOPD_MM_DATA_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("UNIOPD_MM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "root" / REPO
    folder.mkdir(parents=True)
    return folder


def write_zip(file: Path, members: Mapping[str, bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def tar_bytes(members: Mapping[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def content(*names: str) -> bytes:
    path = Path(media_file(REPO, *names))
    assert path.is_absolute()
    return path.read_bytes()


def test_files_come_before_zips_and_these_before_tars(repo: Path) -> None:
    (repo / "videos").mkdir()
    (repo / "videos/a.mp4").write_bytes(b"file")
    write_zip(repo / "videos.zip", {"a.mp4": b"zip", "b.mp4": b"zip"})
    (repo / "more.tar").write_bytes(tar_bytes({"b.mp4": b"tar", "c.mp4": b"tar"}))
    assert [content(f"{name}.mp4") for name in "abc"] == [b"file", b"zip", b"tar"]


def test_a_name_is_the_path_or_its_end(repo: Path) -> None:
    write_zip(repo / "data/images.zip", {"1.png": b"inside", "deep/images/2.png": b"deep"})
    (repo / "2.png").write_bytes(b"top")
    assert content("images/1.png") == content("data/images/1.png") == content("1.png") == b"inside"
    assert content("2.png") == b"top"
    assert content("deep/images/2.png") == b"deep"
    assert content("nowhere.png", "images/2.png") == b"deep"
    with pytest.raises(BadSample, match=r"owner/name: ages/1\.png: not in"):
        media_file(REPO, "ages/1.png")


def test_a_path_that_is_the_name_wins_over_paths_that_end_so(repo: Path) -> None:
    for folder in (repo, repo / "other"):
        folder.mkdir(exist_ok=True)
        (folder / "x.mp4").write_bytes(folder.name.encode())
    assert content("x.mp4") == b"name"


def test_a_name_that_may_be_several_files_is_refused_with_them(repo: Path) -> None:
    write_zip(repo / "v.zip", {"a/x.mp4": b"1", "b/x.mp4": b"2"})
    with pytest.raises(BadSample, match=r"x\.mp4 could be v/a/x\.mp4, v/b/x\.mp4"):
        media_file(REPO, "x.mp4")
    assert content("b/x.mp4") == b"2"


@pytest.mark.parametrize(
    ("name", "mode"), [("v.tar", "w"), ("v.tar.gz", "w:gz"), ("v.tgz", "w:gz"), ("v.tar.xz", "w:xz")]
)
def test_whole_tars(repo: Path, name: str, mode: str) -> None:
    (repo / name).write_bytes(tar_bytes({"videos/a.mp4": b"a" * 100_000}, mode))
    assert content("videos/a.mp4") == b"a" * 100_000


def in_parts(repo: Path, whole: bytes, names: tuple[str, ...]) -> None:
    size = -(-len(whole) // len(names))
    for number, name in enumerate(names):
        (repo / name).write_bytes(whole[number * size : (number + 1) * size])


@pytest.mark.parametrize("pattern", ["v.tar.part.a{}", "v.tar.gz.part-a{}", "v.tar.a{}"])
def test_tars_in_parts(repo: Path, pattern: str) -> None:
    whole = tar_bytes({"a.mp4": bytes(range(256)) * 500, "b.mp4": b"b"}, "w:gz" if ".gz" in pattern else "w")
    in_parts(repo, whole, tuple(pattern.format(letter) for letter in "abcd"))
    assert content("a.mp4") == bytes(range(256)) * 500
    assert content("b.mp4") == b"b"


def test_parts_are_counted_beyond_z_and_missing_ones_are_noticed(repo: Path) -> None:
    assert [unpacking._number(f"v.tar.part.{part}") for part in ("aa", "az", "ba", "01")] == [0, 25, 26, 1]
    in_parts(repo, tar_bytes({"a.mp4": b"a" * 50_000}), tuple(f"v.tar.part.a{letter}" for letter in "abc"))
    (repo / "v.tar.part.ab").unlink()
    with pytest.raises(BadSample, match=r"v\.tar\.part\.aa: one or more of its parts are missing"):
        media_file(REPO, "a.mp4")


def test_a_tar_that_ends_too_early_leaves_nothing_behind(repo: Path, tmp_path: Path) -> None:
    (repo / "v.tar").write_bytes(tar_bytes({"a.mp4": b"a" * 50_000})[:20_000])
    with pytest.raises(BadSample, match=r"v\.tar: damaged .*; download it again"):
        media_file(REPO, "a.mp4")
    assert [path.suffix for path in (tmp_path / "cache/benchmarks").iterdir()] == [".lock"]


def test_no_member_leads_out_of_the_cache(repo: Path, tmp_path: Path) -> None:
    members = dict.fromkeys([*HOSTILE, "good.mp4"], b"x")
    write_zip(repo / "v.zip", members)
    (repo / "w.tar").write_bytes(tar_bytes(members))
    assert content("good.mp4") == b"x"
    for name in HOSTILE:
        with pytest.raises(BadSample):
            media_file(REPO, name)
    with pytest.raises(BadSample):
        media_file(REPO, "evil.mp4")
    assert not list(tmp_path.rglob("evil.mp4"))


def test_links_and_devices_of_a_tar_are_left_out(repo: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo(f"link{kind.decode()}.mp4")
            info.type, info.linkname = kind, "/etc/hostname"
            archive.addfile(info)
    (repo / "v.tar").write_bytes(buffer.getvalue())
    with pytest.raises(BadSample, match="not in"):
        media_file(REPO, "link2.mp4")


def test_a_damaged_zip_is_named_with_what_it_should_have_had(repo: Path) -> None:
    write_zip(repo / "good.zip", {"a.mp4": b"a"})
    (repo / "bad.zip").write_bytes(b"PK\x03\x04 and no more")
    assert content("a.mp4") == b"a"
    with pytest.raises(BadSample, match=r"b\.mp4: not in .*bad\.zip: damaged"):
        media_file(REPO, "b.mp4")


def test_a_member_whose_bytes_changed_is_refused_and_not_kept(repo: Path, tmp_path: Path) -> None:
    write_zip(repo / "v.zip", {"a.mp4": b"untouched"})
    (repo / "v.zip").write_bytes((repo / "v.zip").read_bytes().replace(b"untouched", b"unt0uched"))
    with pytest.raises(BadSample, match=r"v\.zip: a\.mp4: damaged .*CRC"):
        media_file(REPO, "a.mp4")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_full_disk_is_named_before_and_while_it_fills(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_zip(repo / "v.zip", {"a.mp4": b"a" * 1000})
    (repo / "w.tar").write_bytes(tar_bytes({"b.mp4": b"b"}))
    with monkeypatch.context() as patch:
        patch.setattr(unpacking.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10))
        for name, archive in (("a.mp4", r"v\.zip: a\.mp4"), ("b.mp4", r"w\.tar")):
            with pytest.raises(UserError, match=rf"{archive}: cannot be unpacked in .*UNIOPD_MM_CACHE"):
                media_file(REPO, name)

    def fill(source: object, target: Path, size: int, what: str) -> None:
        target.write_bytes(b"a")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(unpacking, "_copy", fill)
        for name in ("a.mp4", "b.mp4"):
            with pytest.raises(UserError, match="No space left on device"):
                media_file(REPO, name)
    assert not list((tmp_path / "cache").rglob("*.mp4"))
    assert content("a.mp4") == b"a" * 1000


def test_frames_of_a_folder_in_order_of_their_numbers(repo: Path) -> None:
    frames = {f"tvqa/frames/show/{number}.jpg": bytes([number]) for number in (10, 2, 1)}
    write_zip(repo / "tvqa.zip", {**frames, "tvqa/frames/show2/1.jpg": b"x"})
    assert [Path(path).read_bytes() for path in media_folder(REPO, "frames/show")] == [b"\x01", b"\x02", b"\x0a"]
    with pytest.raises(BadSample, match="frames/shows"):
        media_folder(REPO, "frames/shows")


def test_a_zip_of_many_members_is_opened_once(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_zip(repo / "v.zip", {f"show/{number}.jpg": b"x" for number in range(200)})
    opened: list[Path] = []
    original = zipfile.ZipFile
    monkeypatch.setattr(unpacking.zipfile, "ZipFile", lambda path: opened.append(path) or original(path))
    assert len(media_folder(REPO, "show")) == 200
    assert opened == [repo / "v.zip"]


SLOW = """
import sys, time
from uniopd_mm.tasks.benchmarks import archives, unpacking
copy = unpacking._copy
def slow(content, target, size, what):
    copy(content, target, size, what)
    print("copied", flush=True)
    time.sleep(float(sys.argv[1]))
unpacking._copy = slow
print(open(archives.media_file("owner/name", "b.mp4"), "rb").read(), flush=True)
"""


def unpack_slowly(seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SLOW, str(seconds)], stdout=subprocess.PIPE, text=True)


def test_killed_half_way_it_is_unpacked_again_and_two_processes_unpack_once(repo: Path, tmp_path: Path) -> None:
    (repo / "v.tar").write_bytes(tar_bytes({"a.mp4": b"a", "b.mp4": b"b"}))
    killed = unpack_slowly(60)
    assert killed.stdout is not None and killed.stdout.readline() == "copied\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert list((tmp_path / "cache/benchmarks").glob("*.partial"))
    both = [unpack_slowly(0.5) for _ in range(2)]
    lines = [process.communicate(timeout=300)[0].splitlines() for process in both]
    assert sorted(map(len, lines)) == [1, 3]  # one copied two files, the other waited for them
    assert all(said[-1] == "b'b'" for said in lines)
    assert not list((tmp_path / "cache/benchmarks").glob("*.partial"))


def test_many_threads_unpack_one_member(repo: Path) -> None:
    write_zip(repo / "v.zip", {"a.mp4": b"a" * 300_000})
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: content("a.mp4"), range(32))) == {b"a" * 300_000}


def test_another_archive_under_the_same_name_is_unpacked_anew(repo: Path) -> None:
    write_zip(repo / "v.zip", {"a.mp4": b"old"})
    assert content("a.mp4") == b"old"
    write_zip(repo / "v.zip", {"a.mp4": b"newer"})
    archives._paths.cache_clear()
    archives._zipped_files.cache_clear()
    archives._members.cache_clear()
    assert content("a.mp4") == b"newer"


def test_where_a_data_set_is_looked_for(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data root, then the working directory, then the hub, whose refusal is told with the remedy."""
    (repo / "a.mp4").write_bytes(b"root")
    here = tmp_path / "here"
    for name in (REPO, "other/set"):
        (here / name).mkdir(parents=True)
        (here / name / "a.mp4").write_bytes(b"here")
    monkeypatch.chdir(here)
    assert content("a.mp4") == b"root" and data_set(REPO) == str(repo)
    assert Path(media_file("other/set", "a.mp4")).read_bytes() == b"here"
    assert data_set("no/where") == "no/where"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    remedy = r"no/where: a\.mp4: the data set is not here \(.+\); download it with `hf download no/where"
    with pytest.raises(BadSample, match=remedy):
        media_file("no/where", "a.mp4")


def test_a_bomb_is_refused_before_it_is_unpacked(repo: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(repo / "v.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zip.mp4", bytes(80 << 20))
    (repo / "w.tar.gz").write_bytes(tar_bytes({"tar.mp4": bytes(80 << 20)}, "w:gz"))
    for name in ("zip.mp4", "tar.mp4"):
        with pytest.raises(BadSample, match=r"bytes claim to become 83886080; if you trust it, unpack it"):
            media_file(REPO, name)
    assert sum(file.stat().st_size for file in (tmp_path / "cache").rglob("*") if file.is_file()) == 0


def test_a_member_longer_than_its_claim_is_refused(repo: Path, tmp_path: Path) -> None:
    write_zip(repo / "v.zip", {"a.mp4": b"x" * 1000})
    content = (repo / "v.zip").read_bytes()
    (repo / "v.zip").write_bytes(content.replace((1000).to_bytes(4, "little") * 2, b"\xe8\x03\0\0" + b"\x0a\0\0\0"))
    with pytest.raises(BadSample, match=r"more than the 10 bytes|damaged"):
        media_file(REPO, "a.mp4")
    assert not list((tmp_path / "cache").rglob("*a.mp4"))


def test_a_sparse_member_is_left_out_and_a_huge_claim_refused(repo: Path) -> None:
    info = tarfile.TarInfo("huge.mp4")
    info.size = 1 << 50
    (repo / "w.tar").write_bytes(info.tobuf() + bytes(1024))
    with pytest.raises(BadSample, match="claim to become 1125899906842624"):
        media_file(REPO, "huge.mp4")
