"""The scripts of examples/ run, on a data set of a few lines."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from groundmesh_embedder.backends import open_backend
from groundmesh_embedder.backends.base import BackendOptions
from tests.embedding_models import minilm

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SCRIPTS = Path(__file__).parents[2] / "examples"
FRUITS = ["apple", "pear", "plum", "cherry", "quince", "fig", "date", "lemon", "lime", "melon"]


def data_set(folder: Path) -> Path:
    """A document for each fruit, and queries that each are of one."""
    (folder / "qrels").mkdir(parents=True)
    lines = {
        "corpus.jsonl": [
            {"_id": name, "title": f"The {name}", "text": f"A {name} grows on the {name} tree."}
            for name in FRUITS
        ],
        "queries.jsonl": [{"_id": f"q-{name}", "text": f"where is the {name}"} for name in FRUITS],
    }
    for file, rows in lines.items():
        (folder / file).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for split, names in (("train", FRUITS[:6]), ("test", FRUITS[6:])):
        judged = "".join(f"q-{name}\t{name}\t1\n" for name in names)
        (folder / "qrels" / f"{split}.tsv").write_text(f"query\tdocument\tscore\n{judged}")
    return folder


def test_a_reranker_is_trained_that_the_embedder_loads(tmp_path: Path) -> None:
    minilm()
    command = [sys.executable, str(SCRIPTS / "train_reranker.py")]
    command += [str(data_set(tmp_path / "data")), str(tmp_path / "judge"), "--titles", "8"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    assert 0 <= measured["ndcg@10"] <= 1
    assert measured["base_ndcg@10"] > 0.9  # each query has a word of its document only
    loaded = open_backend("sentence-transformers", BackendOptions()).load_reranker(
        str(tmp_path / "judge")
    )
    assert loaded.info.max_input_tokens == 320
