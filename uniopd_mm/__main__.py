"""`python -m uniopd_mm` lists the commands; `python -m uniopd_mm train ...` is `python -m uniopd_mm.train ...`."""

import importlib
import sys

from uniopd_mm import __version__

COMMANDS = ("train", "balance", "grade", "serve", "evaluate", "report")


def main() -> int:
    """List the commands, or run the named one. Returns the exit status."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name == "--version":
        print(f"uniopd_mm {__version__}")
    elif name in ("--help", "-h"):
        print(f"uniopd_mm {__version__}: on-policy distillation for vision-language models\n")
        for command in COMMANDS:
            summary = importlib.import_module(f"uniopd_mm.{command}").COMMAND.summary
            print(f"  python -m uniopd_mm.{command:10} {summary}")
        print("\nEvery command has --help. To begin: python -m uniopd_mm.train task=video_qa")
    elif name in COMMANDS:
        sys.argv[:2] = [name]
        importlib.import_module(f"uniopd_mm.{name}").main()
    else:
        print(f"error: {name}: no such command; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
