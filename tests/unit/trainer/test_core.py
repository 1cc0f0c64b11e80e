"""The trainer's engine, with a module of ours in the place of Ray."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from groundmesh.errors import Reason, Unavailable
from groundmesh.server.settings import load_settings
from groundmesh_trainer.core import Trainer
from groundmesh_trainer.settings import TrainerSettings

WORKS = """
import types
def init(**where): pass
def remote(function): return types.SimpleNamespace(remote=function)
def get(answer): return answer
def shutdown(): pass
"""

Fake = Callable[[str], None]


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fake:
    def put(source: str) -> None:
        (tmp_path / "ray.py").write_text(source)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return put


async def test_is_ready_once_ray_has_run_a_task(fake_ray: Fake) -> None:
    fake_ray(WORKS)
    trainer = Trainer(None, start_timeout_s=30)
    with pytest.raises(Unavailable) as early:
        await trainer.check()
    assert early.value.reason is Reason.NOT_READY
    await trainer.start()
    await trainer.check()
    assert trainer.describe().engine == "ray"
    assert trainer.describe().engine_version
    await trainer.stop()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise OSError('no shared memory')", "no shared memory"),
        (WORKS.replace("return answer", "return '2.7.18'"), "Python 2.7.18"),
        ("import os; os._exit(9)", "without a word"),
        ("import os; os.kill(os.getpid(), 11)", "without a word"),
    ],
)
async def test_says_why_ray_does_not_work(fake_ray: Fake, source: str, message: str) -> None:
    fake_ray(source)
    with pytest.raises(Unavailable, match=message) as failed:
        await Trainer(None, start_timeout_s=30).start()
    assert failed.value.reason is Reason.ENGINE_DEAD


async def test_goes_to_the_cluster_that_is_set(fake_ray: Fake) -> None:
    fake_ray("def init(**where): raise OSError(str(where))")
    with pytest.raises(Unavailable, match=r"'address': '10\.0\.0\.1:6379'"):
        await Trainer("10.0.0.1:6379", start_timeout_s=30).start()


async def test_gives_up_in_time_and_ends_what_it_started(fake_ray: Fake) -> None:
    fake_ray("import time; time.sleep(600)")
    since = time.monotonic()
    with pytest.raises(Unavailable, match="did not run a task within 2 s"):
        await Trainer(None, start_timeout_s=2).start()
    assert time.monotonic() - since < 10


def test_its_settings_say_what_is_not_built(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load_settings(TrainerSettings, service="trainer", argv=["--help"])
    assert "not built yet" in " ".join(capsys.readouterr().out.split())
