"""Several tasks as one: each sample is graded by the task of its domain.

How often each domain is drawn is set in `mixture.*`.
"""

from collections.abc import Mapping
from itertools import chain
from typing import final

from uniopd_mm.interfaces import Task
from uniopd_mm.types import Corpus, Outcome, Sample, UserError


@final
class TaskMixture:
    """A Task made of tasks.

    Args:
        tasks: by any names; their domains must differ.
        domain: the mixture's name.
        path: must be None, because a row of one common file would not say which task it is for.
    """

    def __init__(self, *, tasks: Mapping[str, Task], domain: str = "mixture", path: str | None = None) -> None:
        if path is not None:
            keys = ", ".join(f"task.tasks.{name}.rows.path" for name in tasks)
            raise UserError(f"data.path={path}: a mixture reads the rows of each task; give {keys}")
        self.domain = domain
        self._tasks = {task.domain: task for task in tasks.values()}
        if not tasks or len(self._tasks) < len(tasks):
            domains = ", ".join(f"{name}: {task.domain}" for name, task in tasks.items()) or "none"
            raise UserError(f"task.tasks: the domains must differ ({domains}); give each task its own domain")

    def samples(self, split: str) -> Corpus:
        """All tasks' samples of a split, task after task.

        Raises:
            UserError: a task has no samples, or samples of another domain.
        """
        corpora = [task.samples(split) for task in self._tasks.values()]
        for domain, corpus in zip(self._tasks, corpora, strict=True):
            if strays := {sample.domain for sample in corpus} - {domain}:
                raise UserError(
                    f"task.tasks: the task of domain {domain!r} has samples of domain {', '.join(sorted(strays))}; "
                    "give the task and its samples the same domain"
                )
        return Corpus(
            samples=tuple(chain.from_iterable(corpus.samples for corpus in corpora)),
            skipped=tuple(chain.from_iterable(corpus.skipped for corpus in corpora)),
            left_out=sum(corpus.left_out for corpus in corpora),
            grading={domain: text for corpus in corpora for domain, text in corpus.grading.items()},
            recognised=tuple(chain.from_iterable(corpus.recognised for corpus in corpora)),
        )

    def grade(self, sample: Sample, response: str) -> Outcome:
        """What the task that the sample came from says."""
        return self._tasks[sample.domain].grade(sample, response)
