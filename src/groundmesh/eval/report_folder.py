"""A folder of a report, which is there as a whole or not at all."""

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

from groundmesh.errors import InvalidArgument
from groundmesh.eval.answer_plot import draw_evidence, draw_measures
from groundmesh.eval.answer_report import AnswerReport


def check_folder(folder: Path) -> None:
    """InvalidArgument when no report could be written there; to be asked before the work."""
    if folder.exists() and not folder.is_dir():
        raise InvalidArgument(f"{folder}: the report's place is taken by a file")
    if not folder.absolute().parent.is_dir():
        raise InvalidArgument(f"{folder}: there is no such place for the report's folder")


def write(folder: Path, report: AnswerReport) -> None:
    """Write every file beside the folder, and then move them in."""
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.absolute().parent) as at:
        made = Path(at)
        (made / "report.md").write_text(report.markdown(), encoding="utf-8")
        (made / "report.json").write_text(_json(report.as_json()), encoding="utf-8")
        _write_lines(made / "answers.jsonl", report.lines())
        _write_lines(made / "times.jsonl", report.time_lines())
        draw_measures(made / "measures.svg", report)
        draw_evidence(made / "evidence.svg", report)
        folder.mkdir(exist_ok=True)
        for file in sorted(made.iterdir()):
            file.replace(folder / file.name)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
