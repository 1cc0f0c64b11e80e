"""The settings of prompt templates: checked before anything is served."""

from pathlib import Path

import pytest

from groundmesh.server.settings import load_settings
from groundmesh_gateway.settings import GatewaySettings

PLAIN = """
[[templates]]
name = "plain"
version = 3
style = "markers"
system = "Answer."
passage = "Passage {number}: {source}\\n{text}"
question = "Question: {question}"
"""


def written(folder: Path, content: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(content, encoding="utf-8")
    return path


def test_own_templates_stand_beside_the_built_in_ones(tmp_path: Path) -> None:
    settings = GatewaySettings(templates=written(tmp_path, PLAIN), template="plain")
    templates = settings.prompt_templates()
    assert templates.get(settings.template).reference == "plain@3"
    assert templates.get("numbers").reference == GatewaySettings().template


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PLAIN, "--template: there is no template 'mine', but numbers@1, quotes@1, plain@3"),
        (PLAIN.replace("3", '"3"'), "mine.toml: templates[0].version must be a whole number"),
        (PLAIN.replace("plain", "quotes").replace("3", "1"), "quotes@1 is there twice"),
        ("[[templates]\n", "mine.toml is no TOML file: "),
    ],
)
def test_a_gateway_does_not_start_with_bad_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    argv = [f"--templates={written(tmp_path, content)}", "--template=mine"]
    with pytest.raises(SystemExit) as ended:
        load_settings(GatewaySettings, service="gateway", argv=argv)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
