"""docs/adding_a_task.md tells the truth: its files, in a folder of their own, make a domain that trains."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

PAGE = (Path(__file__).parent.parent / "docs" / "adding_a_task.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (.*?) -->\n```\w+\n(.*?)```", PAGE, flags=re.DOTALL))
COMMANDS = re.findall(r"^(python -m uniopd_mm\.train [^#\n]*)", PAGE, flags=re.MULTILINE)
SMALL = [
    *("zoo.expert.sft.accuracy=null", "+zoo.expert.sft.max_steps=2", "+zoo.expert.sft.num_checked=4"),
    *("model.builder.sft.max_steps=1", "+model.builder.sft.num_checked=4"),
    *("+task.synthetic.num_pretrain=24", "+task.synthetic.num_train=6", "+task.synthetic.num_validation=4"),
    *("trainer.steps=1", "trainer.prompts_per_step=2", "trainer.threads=1", "rollout.max_new_tokens=4"),
    "tracking.tensorboard=false",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with the page's files, and rows with a tile of their own."""
    folder = tmp_path_factory.mktemp("tiles")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    rows = [{"images": f"{n}.png", "question": "How many ships?", "answer": n} for n in range(8)]
    for row in rows:
        Image.new("RGB", (64, 64), (0, int(row["answer"]), 90)).save(folder / row["images"])
    (folder / "tiles.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return folder


def test_a_domain_is_under_eighty_lines() -> None:
    lines = [line for text in FILES.values() for line in text.splitlines() if line.strip()]
    assert set(FILES) == {"tiles.py", "my_configs/task/tiles.yaml"}
    assert len(lines) < 80


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_train_from_outside_of_the_repository(command: str, folder: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command.split()[1:], *SMALL],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    newest = max((folder / "runs").iterdir(), key=lambda run: run.stat().st_mtime)
    summary = json.loads((newest / "summary.json").read_text(encoding="utf-8"))
    assert summary["task"] == "tiles" and summary["num_questions"]["tiles"] >= 1
