"""What can be set, and what is refused."""

import pytest

from groundmesh.server.settings import load_settings
from groundmesh_embedder.settings import EmbedderSettings


def load(*argv: str) -> EmbedderSettings:
    return load_settings(EmbedderSettings, service="embedder", argv=argv)


def test_flags_and_their_environment_twins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDMESH_EMBEDDER_DTYPE", "f32")
    settings = load("--model", "some/model", "--reranker", "/judge", "--threads", "3")
    options = settings.embedder_options()
    assert (options.model, options.reranker) == ("some/model", "/judge")
    assert (settings.backend_options().dtype, settings.backend_options().threads) == ("f32", 3)


def test_an_answer_fits_into_a_message() -> None:
    settings = load("--max-message-bytes", "1600000")
    assert settings.embedder_options().max_answer_bytes == 1_500_000


@pytest.mark.parametrize(
    "argv",
    [
        ("--backend", "none"),
        ("--max-texts", "0"),
        ("--threads", "-1"),
        ("--dtype", "f64"),
        ("--stream-in-flight", "0"),
    ],
)
def test_refuses_what_cannot_work(argv: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as ended:
        load(*argv)
    assert ended.value.code == 2
