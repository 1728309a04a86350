"""The local sandbox at every level this machine can do: what programs get, what stops them, and that calls from many
threads do not meet. Programs that mean harm are in `test_sandbox_hostile`."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from uniopd_mm.tasks.sandbox.limits import Limits, Run, SandboxFault, Status
from uniopd_mm.tasks.sandbox.local import Level, LocalSandbox
from uniopd_mm.tasks.sandbox.probe import check_apart
from uniopd_mm.types import UserError

STRICT = [level for level in Level if level is not Level.WEAK]


@pytest.fixture(scope="module", params=STRICT)
def sandbox(request: pytest.FixtureRequest) -> LocalSandbox:
    sandbox = LocalSandbox(level=request.param)
    try:
        assert sandbox.level == request.param
    except UserError as error:
        pytest.skip(str(error))
    return sandbox


def run(sandbox: LocalSandbox, source: str, text: str = "", limits: Limits | None = None) -> Run:
    with closing(sandbox.runs(source, [text], limits or Limits())) as runs:
        return next(runs)


def test_a_program_reads_and_prints(sandbox: LocalSandbox) -> None:
    source = (
        "import sys\nprint(sum(map(int, sys.stdin.read().split())), 'é', file=sys.stdout)\nprint('x', file=sys.stderr)"
    )
    result = run(sandbox, source, "3 4\n5\n")
    assert (result.status, result.exit_code, result.stdout, result.stderr) == (Status.OK, 0, "12 é\n", "x\n")


def test_each_input_has_a_fresh_process_and_folder(sandbox: LocalSandbox) -> None:
    source = "import os, math\nprint(os.listdir('.'), hasattr(math, 'seen'))\nmath.seen = 1\nopen('left', 'w').close()"
    assert [r.stdout for r in sandbox.runs(source, ["1", "2", "3"], Limits())] == ["[] False\n"] * 3


def test_inputs_are_asked_for_one_by_one(sandbox: LocalSandbox) -> None:
    taken = []

    def inputs() -> object:
        for number in range(5):
            taken.append(number)
            yield str(number)

    with closing(sandbox.runs("print(input())", inputs(), Limits())) as runs:  # type: ignore[arg-type]
        assert [next(runs).stdout, next(runs).stdout] == ["0\n", "1\n"]
    assert taken == [0, 1]


def test_it_sees_nothing_of_ours(sandbox: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIOPD_SECRET", "9173")
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    source = (
        "import os, sys\nprint(sorted(set(os.environ) - {'LC_CTYPE', 'OPENBLAS_NUM_THREADS'}))\n"
        "print(os.environ['HOME'] == os.environ['TMPDIR'] == os.getcwd(), sys.argv)\n"
        f"try:\n    os.write({writer}, b'x'); print('written')\nexcept OSError: print('closed')\n"
        "try:\n    import uniopd_mm.tasks; print('ours')\nexcept (ImportError, OSError): print('not there')\n"
    )
    lines = run(sandbox, source).stdout.splitlines()
    os.close(reader)
    os.close(writer)
    assert lines == ["['HOME', 'PATH', 'TMPDIR']", "True ['program.py']", "closed", "not there"]


def test_the_library_and_named_packages_are_there(sandbox: LocalSandbox) -> None:
    source = (
        "import asyncio, collections, dataclasses, decimal, fractions, heapq, itertools, re, statistics, typing\n"
        "import numpy\nprint(numpy.array([1, 2]).sum(), statistics.mean([1, 3]), asyncio.run(asyncio.sleep(0, 5)))"
    )
    result = run(sandbox, source)
    assert result.stdout == "3 2 5\n", result.stderr
    assert run(LocalSandbox(level=sandbox.level, packages=()), "import numpy").status is Status.ERROR


def test_a_large_stack_in_a_thread_is_there(sandbox: LocalSandbox) -> None:
    source = (
        "import sys, threading\nsys.setrecursionlimit(200000)\nthreading.stack_size(1 << 27)\n"
        "def depth(n): return 0 if n == 0 else 1 + depth(n - 1)\n"
        "threading.Thread(target=lambda: print(depth(100000))).start()"
    )
    assert run(sandbox, source).stdout == "100000\n"


@pytest.mark.parametrize(
    ("source", "status", "exit_code"),
    [
        ("1 / 0", Status.ERROR, 1),
        ("import sys; sys.exit(3)", Status.ERROR, 3),
        ("import sys; sys.exit('no')", Status.ERROR, 1),
        ("import sys; sys.exit()", Status.OK, 0),
        ("raise SystemExit(0)", Status.OK, 0),
        ("import os; os.kill(os.getpid(), 9)", Status.ERROR, None),
        ("x = bytearray(10 ** 11)", Status.MEMORY, 1),
        ("while True: pass", Status.TIME, None),
        ("import time; time.sleep(60)", Status.SLEPT, -9),
        ("while True: print('x' * 9999)", Status.OUTPUT, None),
        ("def f(:", Status.ERROR, 1),
        ("\ud800", Status.ERROR, 1),
        ("\x00", Status.ERROR, 1),
    ],
)
def test_how_it_ended(sandbox: LocalSandbox, source: str, status: Status, exit_code: int | None) -> None:
    result = run(sandbox, source, limits=Limits(cpu_seconds=1, wall_seconds=0.5))
    if "os.kill" in source:  # the first process of a namespace cannot end itself like this
        assert result.status in (Status.ERROR, Status.OK)
        return
    assert result.status is status, result
    assert exit_code is None or result.exit_code == exit_code


def test_what_was_printed_before_the_end_is_kept(sandbox: LocalSandbox) -> None:
    result = run(sandbox, "print('first', flush=True)\nwhile True: pass", limits=Limits(cpu_seconds=1))
    assert (result.status, result.stdout) == (Status.TIME, "first\n")


def test_outputs_are_cut_while_they_are_read(sandbox: LocalSandbox) -> None:
    result = run(sandbox, "print('x' * 10 ** 8)", limits=Limits(output_bytes=1000))
    assert (result.status, result.stdout) == (Status.OUTPUT, "x" * 1000)


def test_an_input_larger_than_a_pipe_arrives(sandbox: LocalSandbox) -> None:
    assert run(sandbox, "import sys; print(len(sys.stdin.read()))", "x" * 5_000_000).stdout == "5000000\n"


def test_processes_that_nobody_counts_are_refused(sandbox: LocalSandbox) -> None:
    source = "import os\nif os.fork() == 0: os._exit(0)\nos.wait()\nprint('forked')"
    if sandbox.level == "bubblewrap" and os.geteuid() == 0:
        with pytest.raises(SandboxFault, match="allow only one"):
            run(sandbox, source, limits=Limits(processes=2))
    else:
        assert run(sandbox, source, limits=Limits(processes=2)).stdout == "forked\n"
    assert run(sandbox, source).status is Status.ERROR


def test_no_more_than_allowed_run_at_once_whoever_asks() -> None:
    sandbox = LocalSandbox(max_running=2, packages=())
    running, most, lock = 0, 0, threading.Lock()

    def inputs() -> object:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        yield ""
        with lock:
            running -= 1

    def ask(number: int) -> str:
        runs = sandbox.runs(f"import time; time.sleep(0.1); print({number})", inputs(), Limits())  # type: ignore[arg-type]
        return "".join(result.stdout for result in runs)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(12))) == [f"{number}\n" for number in range(12)]
    assert most == 2


def test_it_ends_with_the_one_who_asked(sandbox: LocalSandbox) -> None:
    """A grader that gives up in the middle leaves no process and no folder."""
    runs = sandbox.runs("print(1)", ["", ""], Limits())
    next(runs)
    assert wardens_below(os.getpid())
    runs.close()
    assert eventually(lambda: not wardens_below(os.getpid()))


def test_it_ends_with_a_grader_that_is_killed(sandbox: LocalSandbox) -> None:
    script = (
        "import sys\nfrom uniopd_mm.tasks.sandbox.limits import Limits\n"
        "from uniopd_mm.tasks.sandbox.local import LocalSandbox\n"
        f"sandbox = LocalSandbox(level={sandbox.level!r}, packages=())\n"
        "print(sandbox.level, flush=True)\nnext(sandbox.runs('while True: pass', [''], Limits()))"
    )
    grader = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert grader.stdout is not None
    assert grader.stdout.readline() == f"{sandbox.level}\n"
    assert eventually(lambda: len(wardens_below(grader.pid)) >= 1)
    started = wardens_below(grader.pid)
    grader.kill()
    grader.communicate()
    assert eventually(lambda: not any(_is_warden(path) for path in started))


def wardens_below(pid: int) -> list[Path]:
    """Its children that are wardens, and theirs; the program itself is one, since it is forked."""
    children: dict[int, list[Path]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(path)
    found, ends = [], [pid]
    while ends:
        below = children.get(ends.pop(), [])
        found += below
        ends += [int(path.name) for path in below]
    return [path for path in found if _is_warden(path)]


def eventually(claim: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not claim() and time.monotonic() < deadline:
        time.sleep(0.05)
    return claim()


def _is_warden(path: Path) -> bool:
    try:
        return b"sandbox.inside.warden" in (path / "cmdline").read_bytes()
    except OSError:
        return False


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"^task\.sandbox\.level=docker: .*choose from namespaces, bubblewrap, rlimits, weak"
    ):
        LocalSandbox(level="docker")
    with pytest.raises(UserError, match=r"^task\.sandbox\.max_running=0"):
        LocalSandbox(max_running=0)
    with pytest.raises(UserError, match=r"^task\.sandbox\.packages: .*no_such_package"):
        LocalSandbox(packages=("no_such_package",))


def test_the_weak_level_is_never_used_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here every stricter level fails, as on a machine without namespaces and Landlock."""
    with pytest.raises(UserError, match=r"level=weak: programs can then read .*task\.sandbox\.allow_weak=true"):
        LocalSandbox(level="weak")

    def only_weakly(run: Callable[[str], Run], *, reading: bool) -> None:
        if not reading:
            raise SandboxFault("not here")
        check_apart(run, reading=reading)

    monkeypatch.setattr("uniopd_mm.tasks.sandbox.local.check_apart", only_weakly)
    with pytest.raises(UserError, match=r"rlimits \(not here\); .*set task\.sandbox\.allow_weak=true"):
        _ = LocalSandbox(packages=()).level
    if os.geteuid() == 0:
        assert LocalSandbox(packages=(), allow_weak=True).level == "weak"


def test_rlimits_without_landlock_is_the_weak_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its programs could read a data file with the answers: that is found by trying, and refused."""
    sandbox = LocalSandbox(level="weak", allow_weak=True, packages=())
    with pytest.raises(SandboxFault, match="allowed to read files of others" if os.geteuid() == 0 else "allowed to"):
        check_apart(lambda source: sandbox._first_run(Level.WEAK, source))


def test_the_test_program_fails_in_one_line_whatever_the_machine_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(UserError, match=r"^task\.sandbox: programs cannot be isolated .*FileNotFoundError.*"):
        _ = LocalSandbox(packages=()).level
    monkeypatch.undo()

    def refused(*arguments: object) -> None:
        raise PermissionError("no network")

    monkeypatch.setattr("socket.create_server", refused)
    assert LocalSandbox(packages=()).level in list(Level)


def test_the_strongest_level_that_works_is_chosen(sandbox: LocalSandbox) -> None:
    levels = list(Level)
    assert levels.index(Level(LocalSandbox(packages=()).level)) <= levels.index(Level(sandbox.level))


def test_without_bubblewrap_its_level_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"bubblewrap .*cannot start.*install bubblewrap"):
        _ = LocalSandbox(level="bubblewrap", packages=()).level


def test_a_warden_that_cannot_start_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sandbox = LocalSandbox(packages=())
    assert sandbox.level in list(Level)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(SandboxFault, match="cannot start"):
        next(sandbox.runs("print(1)", [""], Limits()))
