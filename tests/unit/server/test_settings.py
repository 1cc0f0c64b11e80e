from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from groundmesh.server.settings import ServerSettings, load_settings


@dataclass(frozen=True)
class TeapotSettings(ServerSettings):
    """Settings of the teapot."""

    port: int = 418
    """Port to listen on."""
    kind: Literal["green", "black"] = "green"
    """What is brewed, 100% of the time."""
    leaves: tuple[str, ...] = ()
    """Where the leaves are."""
    store: Path | None = None
    """Folder of the leaves."""
    warm: bool = False
    """Whether it is kept warm."""


def load(*argv: str) -> TeapotSettings:
    return load_settings(TeapotSettings, service="teapot", argv=argv)


def test_defaults() -> None:
    assert load() == TeapotSettings()


def test_every_field_is_a_flat_flag() -> None:
    settings = load(
        "--host=0.0.0.0", "--kind=black", "--leaves=[a,b]", "--store=/tmp/x", "--warm=true"
    )
    assert settings == TeapotSettings(
        host="0.0.0.0", kind="black", leaves=("a", "b"), store=Path("/tmp/x"), warm=True
    )


def test_the_environment_is_read_and_a_flag_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDMESH_TEAPOT_DRAIN_GRACE_S", "3.5")
    monkeypatch.setenv("GROUNDMESH_TEAPOT_WARM", "true")
    monkeypatch.setenv("GROUNDMESH_TEAPOT_PORT", "7")
    monkeypatch.setenv("GROUNDMESH_KETTLE_HOST", "elsewhere")
    settings = load("--port=8")
    assert (settings.drain_grace_s, settings.warm, settings.port) == (3.5, True, 8)
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--port=x"], "--port (or GROUNDMESH_TEAPOT_PORT): "),
        (["--kind=white"], "--kind (or GROUNDMESH_TEAPOT_KIND): "),
        (["--port=65536"], "--port is 65536"),
        (["--max-concurrent-calls=0"], "--max-concurrent-calls is 0, least is 1"),
        (["--drain-grace-s=-1"], "--drain-grace-s"),
        (["--drain-grace-s=.inf"], "--drain-grace-s"),
        (["--tls-cert=/c.pem"], "--tls-key"),
        (["--tls-client-ca=/c.pem"], "--tls-client-ca needs"),
        (["--hot"], "--hot"),
        (["--por=1"], "--por"),
        (["stray"], "stray"),
    ],
)
def test_a_bad_value_is_one_line_and_exit_code_2(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        load(*argv)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("python -m groundmesh_teapot: ")
    assert said in err


def test_a_bad_variable_is_refused_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GROUNDMESH_TEAPOT_MAX_QUEUED_CALLS", "many")
    with pytest.raises(SystemExit):
        load()
    assert "GROUNDMESH_TEAPOT_MAX_QUEUED_CALLS" in capsys.readouterr().err


def test_help_shows_own_settings_first_and_every_default_and_variable(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        load("--help")
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "What is brewed, 100% of the time. (default green) [GROUNDMESH_TEAPOT_KIND]" in text
    assert "Folder of the leaves. (unset) [GROUNDMESH_TEAPOT_STORE]" in text
    assert "(default 418) [GROUNDMESH_TEAPOT_PORT]" in text
    assert text.count("GROUNDMESH_TEAPOT_PORT") == 1
    assert text.index("Settings of the teapot") < text.index("Settings of every service")
