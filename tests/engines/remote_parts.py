"""The project's own server in a thread of the test's process, around the model that the test has."""

from collections.abc import Callable
from queue import Queue
from threading import Thread

from matrix_parts import EngineUnderTest, Lineup, in_process

from uniopd_mm.config.parts import Engine, TeacherConfig
from uniopd_mm.serving.server import ServerOptions, run_server
from uniopd_mm.serving.service import Loaded
from uniopd_mm.teachers.remote import RemoteTeacher
from uniopd_mm.wire.info import server_info
from uniopd_mm.wire.media import Needs


def over_loopback(lineup: Lineup, how: str) -> EngineUnderTest:
    """A server around the "hf" or "vllm" engine, which lives as long as the process, and its client."""
    announced: Queue[str] = Queue()
    Thread(target=_serve, args=(lineup, how, announced.put), daemon=True).start()
    _, found, url = announced.get(timeout=300).rpartition(" at ")
    assert found, url
    plan = TeacherConfig(name="t", processor={}, engine=Engine.remote, urls=[url])
    teacher = RemoteTeacher.connect(plan, "teacher", top_k=4)
    return EngineUnderTest(scorer=teacher, engine=teacher)


def _serve(lineup: Lineup, how: str, announce: Callable[[str], None]) -> None:
    try:
        run_server(ServerOptions(), lambda: _loaded(lineup, how), announce)
    except Exception as error:  # the thread that waits for an address is told
        announce(repr(error))
        raise


def _loaded(lineup: Lineup, how: str) -> Loaded:
    tested = in_process(lineup, how)
    info = server_info(
        "t",
        lineup.processor.vocabulary,
        vocab_size=lineup.student.vocab_size,
        needs=Needs.ENGINE_MEDIA if how == "vllm" else Needs.MEDIA,
        top_k=4,
        settings=lineup.processor.settings,
    )
    check = lineup.processor.check_media
    return Loaded(scorer=tested.scorer, engine=tested.engine, check=check, info=info)
