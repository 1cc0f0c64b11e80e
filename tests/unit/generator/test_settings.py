"""The generator's settings."""

from pathlib import Path

import pytest

from groundmesh.server.settings import load_settings
from groundmesh_generator.backends import BACKENDS, open_backend
from groundmesh_generator.settings import GeneratorSettings


def test_defaults_are_those_of_a_laptop() -> None:
    settings = load_settings(GeneratorSettings, service="generator", argv=[])
    options = settings.backend_options()
    assert (settings.port, settings.backend, settings.dtype) == (50053, "vllm", "bfloat16")
    assert options.model == "SmolLM2-135M-Instruct"
    assert options.engine_args == {}
    assert (options.logs.level, options.logs.format) == (settings.log_level, settings.log_format)


def test_flags_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDMESH_GENERATOR_CONTEXT_TOKENS", "1024")
    argv = ["--engine-args", '{"tensor_parallel_size": 2}', "--kv-cache-gib", "0.5"]
    settings = load_settings(GeneratorSettings, service="generator", argv=argv)
    options = settings.backend_options()
    assert options.context_tokens == 1024
    assert options.kv_cache_gib == 0.5
    assert options.engine_args == {"tensor_parallel_size": 2}


@pytest.mark.parametrize(
    "argv",
    [
        ["--backend", "none"],
        ["--max-output-tokens", "0"],
        ["--kv-cache-gib", "nan"],
        ["--context-tokens", "-1"],
        ["--engine-args", "tensor"],
        ["--backend", "openai"],
        ["--backend", "openai", "--endpoint", "file:///etc/passwd"],
        ["--endpoint", "http://127.0.0.1:8000/v1"],
        ["--api-key-file", "/nowhere"],
    ],
)
def test_what_cannot_work_is_refused_at_once(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        load_settings(GeneratorSettings, service="generator", argv=argv)
    assert refused.value.code == 2


def test_an_api_key_is_read_from_a_file_or_the_environment_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("sk-secret\n")
    argv = ["--backend", "openai", "--endpoint", "http://127.0.0.1:1/v1"]
    monkeypatch.setenv("GROUNDMESH_GENERATOR_API_KEY", "sk-secret")
    in_environment = load_settings(GeneratorSettings, service="generator", argv=argv)
    monkeypatch.delenv("GROUNDMESH_GENERATOR_API_KEY")
    argv += ["--api-key-file", str(tmp_path / "key")]
    in_file = load_settings(GeneratorSettings, service="generator", argv=argv)
    for settings in (in_environment, in_file):
        options = settings.backend_options()
        assert options.api_key == "sk-secret"
        assert "sk-secret" not in f"{settings} {options}"


def test_a_backend_is_found_and_named_before_anything_is_loaded() -> None:
    options = load_settings(GeneratorSettings, service="generator", argv=[]).backend_options()
    for name in BACKENDS:
        backend = open_backend(name, options)
        assert backend.name == name
        assert backend.version
        assert backend.model is None
