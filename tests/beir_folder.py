"""Data sets in the layout of BEIR, written for a test."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

DOCUMENTS = (
    {"_id": "apples", "title": "Apples", "text": "They are sour."},
    {"_id": "pears", "title": "", "text": "They are sweet."},
    {"_id": "a/b ü", "title": "Title alone", "text": ""},
    {"_id": "blank", "title": "", "text": " "},
)
QUERIES = (
    {"_id": "q1", "text": "what is sour", "metadata": {}},
    {"_id": "q2", "text": "what is sweet"},
    {"_id": "unjudged", "text": "what is bitter"},
)
JUDGEMENTS = (("q1", "apples", 2), ("q1", "pears", 0), ("q2", "pears", 1), ("q2", "gone", 1))


def beir_folder(
    folder: Path,
    *,
    documents: Sequence[Mapping[str, object]] = DOCUMENTS,
    queries: Sequence[Mapping[str, object]] = QUERIES,
    judgements: Sequence[tuple[str, str, int]] = JUDGEMENTS,
    split: str = "test",
) -> Path:
    """The folder, with its three files written."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, objects in (("corpus", documents), ("queries", queries)):
        lines = [json.dumps(each, ensure_ascii=False) + "\n" for each in objects]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    rows = ["query-id\tcorpus-id\tscore\n", *(f"{q}\t{d}\t{s}\n" for q, d, s in judgements)]
    (folder / "qrels" / f"{split}.tsv").write_text("".join(rows), encoding="utf-8")
    return folder
