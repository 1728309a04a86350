"""Finds benchmark questions that also appear in the prompts a checkpoint was trained on.

Texts are compared as lower-case words without punctuation. A question counts as contained if at least half of its word
13-grams (the length of GPT-3's check, arXiv 2005.14165, appendix C) appear in the training prompts. A question with
fewer words counts if a whole prompt line equals it. Media are not compared, so for a question about a picture only the
text is known to match.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

N = 13
SHARE = 0.5
MIN_WORDS = 5  # shorter questions ("What is shown?") are too common to tell
_WORD = re.compile(r"\w+")
_PLACEHOLDER = re.compile(r"\[(?:\w+)(?: [^\]]*)?\]")  # a media placeholder in rollout files


@dataclass(frozen=True, slots=True)
class TrainingPrompts:
    """Hashes of the 13-grams of all prompts, and of their single lines."""

    grams: frozenset[int]
    lines: frozenset[int]

    def contain(self, question: str) -> bool:
        """Whether the prompts contain a question; see the docstring of this file."""
        found = words(question)
        if len(found) < N:
            return len(found) >= MIN_WORDS and hash(tuple(found)) in self.lines
        grams = list(_grams(found))
        return sum(gram in self.grams for gram in grams) >= SHARE * len(grams)


def training_prompts(run: Path) -> TrainingPrompts | None:
    """The prompts of all rollouts that a run has written; None without rollouts."""
    prompts = set(_prompts(run))
    if not prompts:
        return None
    grams, lines = set[int](), set[int]()
    for prompt in prompts:
        text = _PLACEHOLDER.sub(" ", prompt)
        grams.update(_grams(words(text)))
        lines.update(hash(tuple(words(line))) for line in _lines(text))
    return TrainingPrompts(frozenset(grams), frozenset(lines))


def words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _lines(prompt: str) -> Iterator[str]:
    """Each line without its leading role, and each of its sentences, to split off an instruction."""
    for line in prompt.splitlines():
        text = re.sub(r"^(?:user|system|assistant): ", "", line)
        yield text
        yield from re.split(r"(?<=[.?!])\s", text)


def _grams(found: Sequence[str]) -> Iterator[int]:
    return (hash(tuple(found[start : start + N])) for start in range(len(found) - N + 1))


def _prompts(run: Path) -> Iterator[str]:
    for path in sorted((run / "rollouts").glob("step_*.jsonl")):
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    yield str(json.loads(line)["prompt"])
                except (ValueError, KeyError, TypeError):
                    continue  # a line cut off by a kill; the run's own reader reports it
