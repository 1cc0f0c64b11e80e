"""Pictures of an evaluation of answers: its measures, and the evidence of each kind of question."""

from pathlib import Path

from matplotlib.figure import Figure

from groundmesh.eval.answer_report import AnswerReport
from groundmesh.eval.sample import Kind

_INCHES = (9.0, 4.5)
_BINS = [step / 20 for step in range(21)]


def draw_measures(path: Path, report: AnswerReport) -> None:
    """A bar for each measure, with its interval."""
    figure = Figure(figsize=_INCHES, layout="constrained")  # no pyplot: it keeps global state
    axes = figure.subplots()
    names, found = [*report.measures], [*report.measures.values()]
    intervals = [
        [each.mean - each.low for each in found],
        [each.high - each.mean for each in found],
    ]
    bars = axes.barh(range(len(names)), [each.mean for each in found], xerr=intervals, capsize=3)
    axes.bar_label(bars, fmt="%.3f", fontsize=8, label_type="center", color="white")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("mean over questions, 95 % interval")
    axes.set_title(f"{report.dataset}: {len(report.records)} questions")
    figure.savefig(path)


def draw_evidence(path: Path, report: AnswerReport) -> None:
    """How near the nearest passage is to the questions of each kind."""
    figure = Figure(figsize=_INCHES, layout="constrained")
    axes = figure.subplots()
    for kind in Kind:
        near = [
            record.answer.final.evidence
            for record in report.records
            if record.answer is not None
            and record.put.kind is kind
            and record.answer.final.evidence is not None
        ]
        if near:
            axes.hist(near, bins=_BINS, density=True, histtype="step", linewidth=2, label=kind)
    axes.set_xlabel("cosine of the question and the nearest passage")
    axes.set_ylabel("density")
    axes.set_title(f"{report.dataset}: evidence by kind of question")
    axes.legend(fontsize=8)
    figure.savefig(path)
