"""``groundmesh eval retrieval`` on the real mesh: a part of SciFact, and both data sets whole.

The scores that whole data sets must reach are the project's own goals: the published score of the
default model, and hybrid search above both of its parts.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from groundmesh.eval.beir import load
from tests.beir_folder import beir_folder
from tests.real_mesh import RealMesh

DATA = Path(os.environ.get("GROUNDMESH_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
SOME_QUERIES = 60
SOME_OTHERS = 60
"""Documents that answer none of these queries."""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not (DATA / "scifact").is_dir(), reason="no judged queries; see GROUNDMESH_TEST_DATA"
    ),
]


def evaluated(mesh: RealMesh, folder: Path, *, timeout_s: float) -> Mapping[str, Any]:
    """What came of each mode, by its name."""
    result: Any = mesh.json("eval", "retrieval", str(folder), timeout_s=timeout_s)
    assert result["dataset"] == folder.name
    return {each["mode"]: each for each in result["modes"]}


def some_of(whole: Path, folder: Path) -> Path:
    """The first queries of a data set, what answers them, and a few documents more."""
    dataset = load(whole)
    judged = dict(list(dataset.judgements.items())[:SOME_QUERIES])
    relevant = {document for scores in judged.values() for document in scores}
    corpus = [json.loads(line) for line in dataset.corpus.read_text("utf-8").splitlines()]
    others = [each for each in corpus if each["_id"] not in relevant][:SOME_OTHERS]
    return beir_folder(
        folder,
        documents=[*(each for each in corpus if each["_id"] in relevant), *others],
        queries=[{"_id": query, "text": dataset.queries[query]} for query in judged],
        judgements=[(q, d, score) for q, scores in judged.items() for d, score in scores.items()],
    )


def test_a_part_of_scifact_is_found(mesh: RealMesh, tmp_path: Path) -> None:
    folder = some_of(DATA / "scifact", tmp_path / "scifact-part")
    modes = evaluated(mesh, folder, timeout_s=300)
    # Among so few documents a sound search finds nearly all; a broken one does not.
    for mode in modes.values():
        assert mode["queries"] == SOME_QUERIES
        assert mode["ndcg@10"] > 0.8, modes
        assert mode["ndcg@10"] <= mode["recall@10"] + 0.1
        assert mode["recall@10"] <= mode["recall@100"] <= 1
        assert mode["degraded"] == []
    assert modes["hybrid"]["ndcg@10"] > min(modes[part]["ndcg@10"] for part in ("dense", "sparse"))


def above_its_parts(modes: Mapping[str, Any]) -> bool:
    return bool(
        modes["hybrid"]["ndcg@10"] > max(modes[part]["ndcg@10"] for part in ("dense", "sparse"))
    )


@pytest.mark.slow
def test_scifact(mesh: RealMesh) -> None:
    modes = evaluated(mesh, DATA / "scifact", timeout_s=3_600)
    assert modes["dense"]["ndcg@10"] >= 0.640, modes
    assert modes["hybrid"]["ndcg@10"] >= 0.715, modes
    assert above_its_parts(modes), modes


@pytest.mark.slow
def test_cranfield(mesh: RealMesh) -> None:
    modes = evaluated(mesh, DATA / "cranfield", timeout_s=1_200)
    assert above_its_parts(modes), modes
