"""A picture of an evaluation: one group of bars for each measure, with its intervals."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from groundmesh.errors import InvalidArgument
from groundmesh.eval.metrics import MEASURES
from groundmesh.eval.report import ModeReport

FORMATS = (".pdf", ".png", ".svg")
"""The ends of file names that say what to draw."""

_ALL_BARS_WIDTH = 0.8
_INCHES = (9.0, 4.5)


def check_name(path: Path) -> None:
    """InvalidArgument when no picture could be written there; to be asked before the work."""
    if path.suffix.lower() not in FORMATS:
        raise InvalidArgument(f"{path}: the plot's name must end in one of {', '.join(FORMATS)}")
    if not path.absolute().parent.is_dir():
        raise InvalidArgument(f"{path}: there is no such folder for the plot")


def draw(path: Path, dataset: str, reports: Sequence[ModeReport]) -> None:
    """Draw reports of one data set into a file."""
    figure = Figure(figsize=_INCHES, layout="constrained")  # no pyplot: it keeps global state
    axes = figure.subplots()
    width = _ALL_BARS_WIDTH / len(reports)
    for index, report in enumerate(reports):
        found = [report.measures[name] for name in MEASURES]
        lefts = [group + width * (index + 0.5) - _ALL_BARS_WIDTH / 2 for group in range(len(found))]
        means = [each.mean for each in found]
        intervals = [
            [each.mean - each.low for each in found],
            [each.high - each.mean for each in found],
        ]
        label = f"{report.mode}: p50 {report.p50_ms:.0f} ms, p99 {report.p99_ms:.0f} ms"
        bars = axes.bar(lefts, means, width, yerr=intervals, capsize=3, label=label)
        axes.bar_label(bars, fmt="%.3f", fontsize=8, label_type="center", color="white")
    axes.set_xticks(range(len(MEASURES)), [*MEASURES])
    axes.set_ylim(0, 1)
    axes.set_ylabel("mean over queries, 95 % interval")
    axes.set_title(f"{dataset}: {reports[0].queries} queries")
    axes.legend(loc="upper left", fontsize=8)
    figure.savefig(path)
