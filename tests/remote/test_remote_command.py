"""The command line of `python -m uniopd_mm.serve`: what it serves, and what it refuses in one line."""

import signal
from pathlib import Path

import httpx
import pytest
from serving_parts import start_process

from uniopd_mm.cli.command import composed as command_config
from uniopd_mm.cli.help import help_text
from uniopd_mm.config.serve import ServeConfig, chosen_teacher, validate
from uniopd_mm.serve import COMMAND
from uniopd_mm.types import UserError


def composed(*overrides: str) -> ServeConfig:
    return command_config(COMMAND, overrides)


def test_a_teacher_of_the_zoo_is_made_for_its_task() -> None:
    for task in ("video_qa", "math", "vqa"):
        plan, key = chosen_teacher(composed(f"task={task}", "teacher=tiny_expert"))
        assert (
            key == "teacher"
            and plan.name == "tiny_expert"
            and plan.builder["_target_"] == "uniopd_mm.models.zoo.make_checkpoint"
        )
        assert plan.builder["generator"] == composed(f"task={task}").task["synthetic"]


def test_one_of_several_teachers_is_served() -> None:
    overrides = ["task=mixture", "teacher=tiny_experts", "only=math"]
    config = composed(*overrides)
    validate(config)
    plan, key = chosen_teacher(config)
    assert (key, plan.name, plan.builder["name"]) == ("teachers.math", "math", "tiny_math_expert")
    with pytest.raises(UserError, match="only=null: choose one of the teachers math, code, vqa, video_qa, chart"):
        chosen_teacher(composed(*overrides[:2]))


@pytest.mark.parametrize(
    ("model", "teacher"),
    [("qwen3_vl_2b", "qwen3_vl_8b"), ("qwen2_5_vl_3b", "qwen2_5_vl_7b"), ("tiny", "qwen3_4b_text")],
)
def test_real_teachers_compose(model: str, teacher: str) -> None:
    config = composed(f"model={model}", f"teacher={teacher}", "teacher.engine=vllm")
    validate(config)
    assert config.teacher.name == teacher


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["teacher.engine=remote"], r"^teacher\.engine=remote: a server runs its teacher itself; set teacher\.engine"),
        (["teacher.urls=[http://h]"], r"^teacher\.urls=\['http://h'\]: a server asks no other"),
        (["teacher=tiny_expert", "teacher.builder={}", "teacher.path=x"], r"^teacher\.path=x: give either"),
        (["server.port=70000"], r"^server\.port=70000 must lie between 0 and 65535"),
        (["server.max_queue=0"], r"^server\.max_queue=0 must be at least 1"),
        (["server.top_k=-1"], r"^server\.top_k=-1 must be at least 0"),
        (["server.max_samples=0"], r"^server\.max_samples=0 must be at least 1"),
        (["server.receive_seconds=0"], r"^server\.receive_seconds=0\.0 must be at least 1"),
        (["threads=0"], r"^threads=0 must be at least 1"),
        (["only=x"], r"^only=x: there is one teacher alone"),
        (["trainer.steps=3"], r"^trainer\.steps=3: serving trains nothing"),
    ],
)
def test_what_cannot_work_is_one_line(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        validate(composed(*overrides))
    assert "\n" not in str(error.value)


def test_help_is_written_from_the_schema(tmp_path: Path) -> None:
    command = start_process(tmp_path, "--help")
    assert command.end() == 0
    assert command.text.strip() == help_text(ServeConfig, "serve", COMMAND.summary).strip()
    assert "server.port=8100" in command.text and "teacher    " in command.text


def test_others_may_not_come_in_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNIOPD_MM_TOKEN", raising=False)
    for host in ("0.0.0.0", "::", "192.168.0.7", "some.host"):
        with pytest.raises(UserError, match=rf"^server\.host={host}: .*UNIOPD_MM_TOKEN.*or set server\.insecure=true$"):
            validate(composed(f"server.host='{host}'"))
        validate(composed(f"server.host='{host}'", "server.insecure=true"))
    for host in ("127.0.0.1", "127.3.2.1", "::1", "localhost"):
        validate(composed(f"server.host='{host}'"))
    monkeypatch.setenv("UNIOPD_MM_TOKEN", "secret")
    validate(composed("server.host=0.0.0.0"))


def test_others_may_come_in_with_a_warning_or_a_token(
    tmp_path: Path, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["teacher=tiny_expert", f"teacher.path={checkpoint}", "threads=1", "server.port=0"]
    monkeypatch.setenv("OWN_TOKEN", "secret")
    open_to_all = start_process(tmp_path, *arguments, "server.host=0.0.0.0", "server.insecure=true")
    guarded = start_process(tmp_path, *arguments, "server.host=0.0.0.0", "server.token_env=OWN_TOKEN")
    urls = [server.url().replace("0.0.0.0", "127.0.0.1") for server in (open_to_all, guarded)]
    assert open_to_all.text.startswith(
        "warning: server.host=0.0.0.0: anyone who can reach this address can use the teacher"
    )
    assert "warning" not in guarded.text
    assert [httpx.get(f"{url}/info").status_code for url in urls] == [200, 401]
    assert httpx.get(f"{urls[1]}/info", headers={"authorization": "Bearer secret"}).status_code == 200
    for server in (open_to_all, guarded):
        server.signal(signal.SIGTERM)
        assert server.end() == 0
