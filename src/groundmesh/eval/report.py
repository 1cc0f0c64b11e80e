"""What an evaluation found, as rows for a table and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from groundmesh.eval.beir import Dataset
from groundmesh.eval.metrics import Measured, measured
from groundmesh.eval.searching import Searched

_DIGITS = 4


@dataclass(frozen=True)
class ModeReport:
    """One mode's measures over all queries, and the times of its searches."""

    mode: str
    queries: int
    measures: Mapping[str, Measured]
    p50_ms: float
    p99_ms: float
    degraded: Sequence[str]
    """What did not run although it was asked for, in plain words."""

    def as_json(self) -> dict[str, object]:
        """As it is printed: every number rounded to what it can mean."""
        return {
            "mode": self.mode,
            **{name: round(each.mean, _DIGITS) for name, each in self.measures.items()},
            "p50_ms": round(self.p50_ms, 2),
            "p99_ms": round(self.p99_ms, 2),
            "ci95": {
                name: [round(each.low, _DIGITS), round(each.high, _DIGITS)]
                for name, each in self.measures.items()
            },
            "queries": self.queries,
            "degraded": list(self.degraded),
        }


def mode_report(mode: str, dataset: Dataset, searched: Searched) -> ModeReport:
    """Measure what a mode found."""
    p50_ms, p99_ms = np.percentile(searched.times_ms, (50, 99))
    return ModeReport(
        mode=mode,
        queries=len(dataset.queries),
        measures=measured(dataset.judgements, searched.rankings),
        p50_ms=float(p50_ms),
        p99_ms=float(p99_ms),
        degraded=sorted(searched.degraded),
    )
