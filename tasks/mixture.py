"""Several tasks as one: their samples together, each graded by the task of its domain. How often each domain is drawn
is the core's business (`mixture.*`)."""

from collections.abc import Mapping
from itertools import chain
from typing import final

from uniopd_mm.interfaces import Task
from uniopd_mm.types import Corpus, Outcome, Sample, UserError


@final
class TaskMixture:
    """A Task made of tasks.

    Args:
        tasks: by a name of the user's choice; their domains must differ.
        domain: what the mixture is called.
        path: must be None: one file for all would leave open which of the tasks a row is for.
    """

    def __init__(self, *, tasks: Mapping[str, Task], domain: str = "mixture", path: str | None = None) -> None:
        if path is not None:
            keys = ", ".join(f"task.tasks.{name}.rows.path" for name in tasks)
            raise UserError(f"data.path={path}: a mixture reads the rows of each task; give {keys}")
        self.domain = domain
        self._tasks = {task.domain: task for task in tasks.values()}
        if not tasks or len(self._tasks) < len(tasks):
            domains = ", ".join(f"{name}: {task.domain}" for name, task in tasks.items()) or "none"
            raise UserError(f"task.tasks: the domains must differ ({domains}); give each task a domain of its own")

    def samples(self, split: str) -> Corpus:
        """The tasks' samples of a split, one task's after another's.

        Raises:
            UserError: a task has none, or some of another domain than its own.
        """
        corpora = [task.samples(split) for task in self._tasks.values()]
        for domain, corpus in zip(self._tasks, corpora, strict=True):
            if strays := {sample.domain for sample in corpus} - {domain}:
                raise UserError(
                    f"task.tasks: the task of domain {domain!r} has samples of domain {', '.join(sorted(strays))}; "
                    "give it and its samples one domain"
                )
        return Corpus(
            samples=tuple(chain.from_iterable(corpus.samples for corpus in corpora)),
            skipped=tuple(chain.from_iterable(corpus.skipped for corpus in corpora)),
            left_out=sum(corpus.left_out for corpus in corpora),
        )

    def grade(self, sample: Sample, response: str) -> Outcome:
        """By the task that the sample came from."""
        return self._tasks[sample.domain].grade(sample, response)
