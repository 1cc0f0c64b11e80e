"""``groundmesh eval answers`` on the real mesh: the same answers twice, and a bound that tells."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.questions_file import squad_file
from tests.real_mesh import RealMesh

DATA = Path(os.environ.get("GROUNDMESH_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
SQUAD2 = DATA / "squad2" / "dev-a-v2.0.json"

pytestmark = pytest.mark.e2e


def test_a_second_run_gives_the_same_answers(mesh: RealMesh, tmp_path: Path) -> None:
    questions = squad_file(tmp_path / "stones.json")
    for report in ("one", "two"):
        done = mesh.cli(
            *("eval", "answers", str(questions), "--limit", "4", "--max-tokens", "24"),
            *("--report", str(tmp_path / report)),
            timeout_s=240,
        )
        assert done.returncode == 0, done.stderr
    one, two = tmp_path / "one", tmp_path / "two"
    assert (one / "answers.jsonl").read_text() == (two / "answers.jsonl").read_text()
    reports = [json.loads((each / "report.json").read_text()) for each in (one, two)]
    assert reports[0]["scores"] == reports[1]["scores"]
    assert reports[0]["scores"]["hit@5"] == 1.0  # of three paragraphs
    assert reports[0]["scores"]["errors"] == 0
    answers = [json.loads(line) for line in (one / "answers.jsonl").read_text().splitlines()]
    assert all(-1 <= each["evidence"] <= 1 for each in answers)


@pytest.mark.slow
@pytest.mark.skipif(not SQUAD2.is_file(), reason="no SQuAD 2.0; see GROUNDMESH_TEST_DATA")
def test_evidence_tells_questions_about_another_subject(mesh: RealMesh) -> None:
    found: Any = mesh.json("eval", "answers", str(SQUAD2), "--calibrate", timeout_s=900)
    calibration = found["calibration"]
    assert calibration["auc"] >= 0.95
    assert calibration["false_refusal_rate"] <= 0.05
    collection: Any = mesh.json("collections", "show", found["collection"])
    assert collection["calibration"]["min_evidence"] == pytest.approx(calibration["min_evidence"])
