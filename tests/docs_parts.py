"""The commands and settings that README, CONTRIBUTING, docs/ and the comments of configs/ show, as lines to check.

A command is a line of a bash block, or an inline span that begins with a program. Settings are spans like `task=math`,
and words like it in a YAML's comments. Placeholders (FOLDER, <name>) are filled in.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from uniopd_mm.cli.groups import CONFIGS, groups

ROOT = Path(__file__).parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
}
GROUPS = groups()
FENCED = re.compile(r"^(?:<!-- (\w+): (.*?) -->\n)?```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PROGRAMS = {"python", "python3", "make", "bash", "accelerate", "lmms-eval", "hf", "pip", "source", "jq"}
PROGRAMS |= {".venv/bin/pip", ".venv/bin/pre-commit"}
SETTING = re.compile(r"""['"]?[+~]{0,2}[a-z]\w*(\.\w+)*=""")
PLACEHOLDERS = {name: name.lower() for name in ("FOLDER", "FILE", "DIR", "NAME", "OWNER", "HOST", "CHECKPOINT")}
PLACEHOLDERS |= {"PORT": "8100"}


@dataclass(frozen=True, kw_only=True)
class Line:
    """A command (`whole`), or settings alone. `context` selects the YAML in whose comments it is: "task=math"."""

    place: str
    text: str
    whole: bool
    context: str = ""

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)


def filled(text: str) -> str:
    """The text with a value for every placeholder."""
    text = re.sub(r"<\w+>", "name", text)
    return re.sub(r"\b[A-Z]+\b", lambda found: PLACEHOLDERS.get(found[0], found[0]), text)


def line_of(place: str, text: str) -> Line | None:
    """The text as a command or as settings, None if it is neither. A placeholder for a group's choice (`task=NAME`) is
    dropped, and so is "..." at the end."""
    first, *others = text.split() or [""]
    whole = first in PROGRAMS and (bool(others) or first == "make")
    if not whole and not SETTING.match(first) and not (first.startswith("--") and "=" in text):
        return None
    choice = rf"(?<![\w.])({'|'.join(GROUPS)})=({'|'.join(PLACEHOLDERS)})(?= |$)"
    return Line(place=place, text=filled(re.sub(choice, "", text).removesuffix(" ...")).strip(), whole=whole)


def on_page(page: str, text: str) -> Iterator[Line]:
    """Every command and all settings of a page."""
    for block in FENCED.finditer(text):
        for command in re.finditer(r"(?:.*\\\n)*.+", block[4] if block[3] == "bash" else ""):
            place = f"{page}:{text[: block.start(4) + command.start()].count(chr(10)) + 1}"
            found = line_of(place, re.sub(r"\s*\\\n\s*", " ", command[0]))
            assert found, f"{place}: {command[0]}: no known program; name it in PROGRAMS"
            yield found
    prose = FENCED.sub(lambda block: "\n" * block[0].count("\n"), text)
    for span in re.finditer(r"`([^`\n]+(?:\n[^`\n]+)?)`", prose):
        place = f"{page}:{prose[: span.start()].count(chr(10)) + 1}"
        if found := line_of(place, span[1].replace("\n", " ")):
            yield found


def in_comments(path: Path) -> Iterator[Line]:
    """The settings in a YAML's comments, neighbours together (`task=math trainer.steps=2`), and indented commands."""
    *folders, choice = path.relative_to(CONFIGS).with_suffix("").parts
    context = f"{folders[0]}={choice}" if len(folders) == 1 else ""
    comments = re.findall(r"(?:^|\s)#(.*)", path.read_text(encoding="utf-8"))
    place = f"configs/{path.relative_to(CONFIGS)}"
    for comment in comments:
        if comment.startswith("   ") and comment.split()[0] in PROGRAMS:
            yield Line(place=place, text=filled(comment.strip()), whole=True)
    together: list[str] = []
    for word in [*re.findall(r"(?<!\w)'[^']+'\S*|\S+", " ".join(comments)), ""]:
        setting = re.match(r"[(`]*(\S*?\w+=.*?)([.,;:)`]*)$", word)
        together += [setting[1]] if setting else []
        if together and (not setting or setting[2]):
            yield Line(place=place, text=filled(" ".join(together)), whole=False, context=context)
            together = []


def unquoted(text: str) -> str:
    """The characters outside quotes that zsh expands or takes for a comment: globs, braces, and ~ = # before a word."""
    bad, quote, before = "", "", " "
    characters = iter(text)
    for character in characters:
        if character == "\\" and quote != "'":
            next(characters, None)
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[]{}*?()" or (character in "~=#" and before == " "):
            bad += character
        before = character
    return bad
