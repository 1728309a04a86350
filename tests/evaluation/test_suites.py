"""The suites of configs/suite, and how their entries become records."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from uniopd_mm.evaluation.records import Paper, SuiteTask
from uniopd_mm.evaluation.suites import suite_tasks
from uniopd_mm.types import UserError

_ROOT = Path(__file__).parents[2]
_SUITES = {path.stem: yaml.safe_load(path.read_text()) for path in (_ROOT / "configs" / "suite").glob("*.yaml")}


def _suite(name: str) -> tuple[SuiteTask, ...]:
    return suite_tasks(_SUITES[name]["tasks"])


def test_every_suite_reads_and_is_named_as_its_file() -> None:
    assert {name: len(_suite(name)) for name in _SUITES} == {
        "paper16": 16,
        "video": 6,
        "all": 22,
        "text": 7,
        "multimodal": 9,
        "upstream": 15,
    }
    assert all(suite.keys() == {"name", "title", "tasks"} for suite in _SUITES.values())
    assert all(suite["name"] == name and suite["title"] for name, suite in _SUITES.items())


def test_the_suites_are_parts_of_one_another() -> None:
    assert _suite("all") == (*_suite("paper16"), *_suite("video"))
    assert _suite("paper16") == (*_suite("text"), *_suite("multimodal"))


def test_the_paper_has_five_domains_and_these_figures() -> None:
    tasks = _suite("paper16")
    assert list(dict.fromkeys(task.domain for task in tasks)) == [
        "textual math",
        "code",
        "multimodal math",
        "logic",
        "document",
    ]
    figures = {task.task: task.paper for task in tasks}
    assert figures["uniopd_aime24"] == Paper(student=23.0, opd=57.9, uni_opd=63.3)
    assert figures["uniopd_hmmt25_nov"] == Paper(student=9.2, opd=37.8, uni_opd=39.8)
    assert figures["uniopd_docvqa"] == Paper(student=94.9, opd=95.2, uni_opd=95.2)
    assert figures["uniopd_infographicvqa"] == Paper()
    assert sum(paper.uni_opd or 0.0 for paper in figures.values()) == pytest.approx(910.9)
    assert sum(paper.opd or 0.0 for paper in figures.values()) == pytest.approx(874.1)
    assert sum(paper.student or 0.0 for paper in figures.values()) == pytest.approx(712.8)


@pytest.mark.parametrize("name", sorted(_SUITES.keys() - {"upstream"}))
def test_our_tasks_have_score_of_100(name: str) -> None:
    assert all(task.task.startswith("uniopd_") for task in _suite(name))
    assert all((task.metric, task.scale) == ("score", 100.0) for task in _suite(name))


def test_upstream_has_the_titles_domains_and_figures_of_ours() -> None:
    ours = {task.title: task for task in _suite("all")}
    for task in _suite("upstream"):
        assert not task.task.startswith("uniopd_")
        assert (task.domain, task.paper) == (ours[task.title].domain, ours[task.title].paper)


def test_upstream_names_tasks_and_metrics_that_lmms_eval_has() -> None:
    """By the text of its YAML files: importing it takes half a minute."""
    spec = find_spec("lmms_eval")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("lmms-eval is not installed")
    folder = Path(spec.submodule_search_locations[0]) / "tasks"
    files = {path: path.read_text(errors="replace") for path in folder.rglob("*.yaml")}
    for task in _suite("upstream"):
        names = (f"task: {task.task}\n", f'task: "{task.task}"\n')
        (path,) = (path for path, text in files.items() if any(name in f"{text}\n" for name in names))
        nearby = files[path] + "".join(part.read_text() for part in path.parent.glob("_default*"))
        assert f"- metric: {task.metric}\n" in nearby, task


def test_what_is_left_out_has_a_default() -> None:
    assert suite_tasks([{"task": "ai2d"}]) == (SuiteTask(task="ai2d", title="ai2d", domain="other"),)
    (task,) = suite_tasks([{"task": "x", "paper": {"student": 3}, "scale": 1}])
    assert task.paper == Paper(student=3.0) and task.scale == 1.0
    assert suite_tasks([{"task": "x", "paper": None}])[0].paper == Paper()


def test_a_suite_may_come_from_hydra() -> None:
    tasks = OmegaConf.create(_SUITES["all"]).tasks
    assert suite_tasks(tasks) == _suite("all")


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([{"task": "a"}, {"task": "a"}], r"suite\.tasks\[1\]\.task: 'a' is also suite\.tasks\[0\]; remove one"),
        ([{"title": "A"}], r"suite\.tasks\[0\]\.task: None; must be a text"),
        ([{"task": " "}], r"suite\.tasks\[0\]\.task: ' '; must be a text"),
        ([{"task": 3}], r"suite\.tasks\[0\]\.task: 3; must be a text"),
        ([{"task": "a", "title": None}], r"suite\.tasks\[0\]\.title: None; must be a text"),
        (
            [{"task": "a", "titel": "A"}],
            r"suite\.tasks\[0\]\.titel: unknown key; choose from task, title, domain",
        ),
        (["a"], r"suite\.tasks\[0\]: 'a'; write \{task: a\}"),
        ([{"task": "a", "scale": 10}], r"suite\.tasks\[0\]\.scale: 10; the metric's full mark must be 1 or 100"),
        ([{"task": "a", "scale": True}], r"scale: True; the metric's full mark"),
        ([{"task": "a", "paper": 63.3}], r"paper: 63\.3; write \{student: 0\.0, opd: 0\.0, uni_opd: 0\.0\}"),
        ([{"task": "a", "paper": {"uniopd": 1}}], r"paper\.uniopd: unknown key; choose from student, opd, uni_opd"),
        ([{"task": "a", "paper": {"opd": "57.9"}}], r"paper\.opd: '57\.9'; must be a figure from 0 to 100, or null"),
        ([{"task": "a", "paper": {"opd": float("nan")}}], r"paper\.opd: nan; must be a figure from 0 to 100"),
        ([{"task": "a", "paper": {"opd": 101}}], r"paper\.opd: 101; must be a figure from 0 to 100"),
        ([], r"suite\.tasks: \[\]; name at least one task"),
    ],
)
def test_mistakes_name_the_key_the_value_and_the_remedy(tasks: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        suite_tasks(tasks)
