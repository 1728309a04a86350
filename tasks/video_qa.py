r"""Questions about videos, open or multiple choice, from a user's rows or from a synthetic source.

    {"id": "7", "question": "Which way does it turn?", "choices": ["left", "right"], "answer": "B",
     "video": "clips/7.mp4"}

`question`, `answer` and `video` (a path or a list of paths) are needed. `choices` is a list or an object {label: text};
the answer is then a label, a text or a 0-based index. `images`, `split`, `pass_rate` and `response` (a worked response)
are optional, and any other field goes to the sample's metadata. Videos are not opened here: a missing file is noticed
while reading, unreadable contents by the processor.
"""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, final

from uniopd_mm.interfaces import SampleSource
from uniopd_mm.tasks.answers import grade_open
from uniopd_mm.tasks.choices import CHOICES, format_choices, grade_choice, read_choices, read_label
from uniopd_mm.tasks.quoting import quote
from uniopd_mm.tasks.rows import NO_COLUMNS, Reading, Row, read_samples
from uniopd_mm.tasks.splits import check_fraction, corpus_of, read_split
from uniopd_mm.types import BadSample, Corpus, Media, Message, Outcome, Sample, UserError

FIELDS = ("id", "question", CHOICES, "answer", "video", "images", "split", "pass_rate", "response")
CONTENT = ("question", CHOICES, "answer", "video", "images")  # what makes two rows without ids the same row


@final
class VideoQaTask:
    """A Task. With `path` it reads the user's rows, once, at the first call of `samples`; otherwise it hands on
    `synthetic`.

    Args:
        path: a .jsonl or .parquet file of rows, or None.
        synthetic: where samples come from when there is no path.
        columns: from the field names above to the file's own column names.
        validation_fraction: share of the rows without a `split` that is held out.
        media_root: folder of relative media paths; the row file's own folder by default.
        instruction: last line of every prompt.
        domain: the name under which samples are routed, balanced and reported.
    """

    def __init__(
        self,
        *,
        path: str | None,
        synthetic: SampleSource | None,
        columns: Mapping[str, str] = NO_COLUMNS,
        validation_fraction: float = 0.1,
        media_root: str | None = None,
        instruction: str = "Answer in \\boxed{}.",
        domain: str = "video_qa",
    ) -> None:
        if path is None and synthetic is None:
            raise UserError("data.path=null: no rows and no synthetic source; give data.path=FILE.jsonl")
        check_fraction(validation_fraction)
        self.domain = domain
        self._path = path
        self._synthetic = synthetic
        self._columns = dict(columns)
        self._validation_fraction = validation_fraction
        self._media_root = media_root
        self._instruction = instruction

    def samples(self, split: str) -> Corpus:
        """The usable samples of a split in file order; `skipped` lists what the whole file lost, whatever the split.

        Raises:
            UserError: the file cannot be read, none of its rows can be used, or the split is unknown or empty.
        """
        if self._path is not None:
            return corpus_of(self._reading, split, self._validation_fraction)
        assert self._synthetic is not None
        return self._synthetic.samples(split)

    def grade(self, sample: Sample, response: str) -> Outcome:
        """Judge a response by its final answer. Never raises: an unreadable reference is an unknown outcome."""
        choices = sample.metadata.get(CHOICES)
        if choices is None:
            return grade_open(response, sample.answer)
        return grade_choice(response, sample.answer, choices)

    @cached_property
    def _reading(self) -> Reading:
        assert self._path is not None
        return read_samples(self._path, parse=self._parse, fields=FIELDS, columns=self._columns)

    @cached_property
    def _root(self) -> Path:
        assert self._path is not None
        root = Path(self._media_root or os.path.dirname(os.path.expanduser(self._path))).expanduser()
        if not root.is_dir():
            raise UserError(f"media_root={self._media_root}: there is no such folder; give the one of the media paths")
        return root.absolute()

    def _parse(self, row: Row) -> tuple[Sample, str | None]:
        """Raises BadSample where the row cannot be used."""
        question = row.text("question")
        answer = row.need("answer")
        choices = read_choices(row.fields[CHOICES]) if CHOICES in row.fields else None
        media = (*self._media(row, "video", "video"), *self._media(row, "images", "image"))
        lines = (question, format_choices(choices) if choices else "", self._instruction)
        used = {*FIELDS, *row.columns.values()}
        extras = {name: value for name, value in row.fields.items() if name not in used}
        sample_id = row.identity(CONTENT)
        sample = Sample(
            sample_id=sample_id,
            domain=self.domain,
            messages=(Message(role="user", content=(*media, "\n".join(line for line in lines if line))),),
            answer=read_label(answer, choices) if choices else _open_answer(row, answer),
            source=row.where,
            pass_rate=row.share("pass_rate"),
            demonstration=row.text("response") if "response" in row.fields else None,
            metadata=extras | ({CHOICES: choices} if choices else {}),
            row=extras | row.standard(FIELDS) | {"id": sample_id} | _paths(media),
        )
        return sample, read_split(row.fields.get("split"))

    def _media(self, row: Row, name: str, kind: str) -> tuple[Media, ...]:
        """Raises BadSample where a file is missing, or where the row has no video."""
        value = row.need(name) if name == "video" else row.fields.get(name, [])
        paths = value if isinstance(value, list) else [value]
        return tuple(Media(kind=kind, source=self._existing(row, name, path)) for path in paths)

    def _existing(self, row: Row, name: str, path: Any) -> str:
        if not isinstance(path, str) or not path.strip():
            raise BadSample(f"{row.label(name)} must be a path or paths, got {type(path).__name__} {quote(path)}")
        found = os.path.join(self._root, os.path.expanduser(path))
        if not os.path.isfile(found):
            raise BadSample(f"{row.label(name)} {quote(path, 200)}: there is no such file ({quote(found, 200)})")
        return found


def _paths(media: tuple[Media, ...]) -> dict[str, list[str]]:
    """The columns `video` and `images`, one of them absent where it would be empty."""
    columns = {"video": "video", "images": "image"}
    paths = {name: [medium.source for medium in media if medium.kind == kind] for name, kind in columns.items()}
    return {name: sources for name, sources in paths.items() if sources}


def _open_answer(row: Row, answer: Any) -> str:
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    return row.text("answer")
