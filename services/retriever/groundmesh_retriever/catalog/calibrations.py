"""Calibrations of collections, as the catalog keeps them: JSON, which no query looks into."""

from dataclasses import asdict
from typing import Any

from groundmesh_retriever.catalog import times
from groundmesh_retriever.model import Calibration

_SET = "update_time"


def to_stored(calibration: Calibration | None) -> dict[str, Any] | None:
    """What is written; it is set now, whatever it says itself."""
    return None if calibration is None else {**asdict(calibration), _SET: times.now()}


def of_stored(stored: dict[str, Any] | None) -> Calibration | None:
    """What was written."""
    if stored is None:
        return None
    return Calibration(**{**stored, _SET: times.to_datetime(stored[_SET])})
