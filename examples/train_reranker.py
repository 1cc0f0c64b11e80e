"""Train a cross-encoder on the training queries of a BEIR-style folder, in minutes on a CPU.

    python examples/train_reranker.py DATA_DIR OUT_DIR

DATA_DIR holds corpus.jsonl, queries.jsonl and qrels/train.tsv; with qrels/test.tsv the script also
says what reranking changes on those queries, which it never learns from. OUT_DIR is then a folder
that the embedder serves: ``groundmesh up --rerank-model OUT_DIR``.

The base is the default embedding model with a new head for one score. Each training query comes
with a relevant document and others that both searches, by words and by vectors, rank high without
their being relevant: hard negatives. Documents' titles, each a query for its own text, teach the
model to compare two texts before the few real queries teach it what is asked here.
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator
from sentence_transformers.cross_encoder.losses import LambdaLoss
from sklearn.feature_extraction.text import CountVectorizer

from groundmesh.models import DEFAULT_EMBEDDING_MODEL
from groundmesh.models.prepared import prepare_model
from groundmesh_retriever.analysis import DEFAULT_LANGUAGE, analyzer

SEED = 7
CANDIDATES = 50
"""Documents that are reranked, and that negatives are taken from."""
NEGATIVES = 5
"""Of each list that the model learns from, beside one relevant document."""
FUSION_DEPTH = 100
MAX_TOKENS = 192
"""Of a query and a document while learning: more cost time."""
SERVED_TOKENS = 320
"""Of a query and a passage: a chunk has up to 256."""


@dataclass(frozen=True)
class Data:
    """A BEIR-style folder."""

    titles: Mapping[str, str]
    texts: Mapping[str, str]
    queries: Mapping[str, str]
    relevant: Mapping[str, Mapping[str, set[str]]]
    """By split, then by query."""

    def passage(self, document: str) -> str:
        """What the model reads of a document: its title goes before its text."""
        return f"{self.titles[document]}\n\n{self.texts[document]}".strip()


def load(folder: Path) -> Data:
    """Read all of it."""
    corpus = _json_lines(folder / "corpus.jsonl")
    splits = (folder / "qrels").glob("*.tsv")
    return Data(
        titles={each["_id"]: each.get("title", "") for each in corpus},
        texts={each["_id"]: each["text"] for each in corpus},
        queries={each["_id"]: each["text"] for each in _json_lines(folder / "queries.jsonl")},
        relevant={path.stem: _qrels(path) for path in splits},
    )


def _json_lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _qrels(path: Path) -> dict[str, set[str]]:
    relevant: dict[str, set[str]] = defaultdict(set)
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        query, document, score = line.split("\t")
        if int(score) > 0:
            relevant[query].add(document)
    return relevant


class FirstStage:
    """Hybrid search as the retriever does it, over whole documents and in memory."""

    def __init__(self, data: Data, model: SentenceTransformer) -> None:
        """Index every document."""
        self._ids = list(data.texts)
        self._model = model
        passages = [data.passage(document) for document in self._ids]
        self._vectors = self._embed(passages)
        self._terms = CountVectorizer(analyzer=analyzer(DEFAULT_LANGUAGE))
        self._bm25 = _bm25_weights(self._terms.fit_transform(passages))

    def rank(self, queries: Sequence[str]) -> list[list[str]]:
        """The best documents of each query."""
        dense = self._embed(queries) @ self._vectors.T
        sparse = np.asarray((self._terms.transform(queries) @ self._bm25.T).todense())
        fused = _reciprocal_ranks(dense) + _reciprocal_ranks(sparse)
        best = np.argsort(-fused, axis=1, kind="stable")[:, :CANDIDATES]
        return [[self._ids[column] for column in row] for row in best]

    def _embed(self, texts: Sequence[str]) -> NDArray[Any]:
        return np.asarray(self._model.encode(list(texts), normalize_embeddings=True))


def _bm25_weights(counts: Any, k1: float = 1.2, b: float = 0.75) -> Any:
    """What each term of each document adds to the score of a query with that term."""
    weights = counts.astype(np.float64).tocoo()
    documents, lengths = counts.shape[0], np.asarray(counts.sum(axis=1)).ravel()
    holding = np.bincount(weights.col, minlength=counts.shape[1])
    idf = np.log(1 + (documents - holding + 0.5) / (holding + 0.5))
    norm = k1 * (1 - b + b * lengths / lengths.mean())
    weights.data *= idf[weights.col] * (k1 + 1) / (weights.data + norm[weights.row])
    return weights.tocsr()


def _reciprocal_ranks(scores: NDArray[Any]) -> NDArray[Any]:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :FUSION_DEPTH]
    shares = np.broadcast_to(1 / (60 + np.arange(1, order.shape[1] + 1)), order.shape)
    fused = np.zeros(scores.shape)
    np.put_along_axis(fused, order, shares, axis=1)
    return fused


def title_lists(data: Data, first: FirstStage, count: int) -> list[dict[str, Any]]:
    """Titles as queries for the texts below them."""
    titled = [each for each in data.texts if data.titles[each] and data.texts[each]]
    chosen = random.sample(titled, min(count, len(titled)))
    ranked = first.rank([data.titles[each] for each in chosen])
    return [
        _list(data.titles[own], data.texts[own], [data.texts[each] for each in near if each != own])
        for own, near in zip(chosen, ranked, strict=True)
    ]


def query_lists(data: Data, first: FirstStage, rounds: int) -> list[dict[str, Any]]:
    """Real queries, with each relevant document, ``rounds`` times with other negatives."""
    train = data.relevant["train"]
    ranked = first.rank([data.queries[query] for query in train])
    lists = []
    for (query, relevant), near in zip(train.items(), ranked, strict=True):
        wrong = [data.passage(each) for each in near if each not in relevant]
        known = sorted(relevant & data.texts.keys())
        lists += [_list(data.queries[query], data.passage(own), wrong) for own in known * rounds]
    random.shuffle(lists)
    return lists


def _list(query: str, right: str, wrong: Sequence[str]) -> dict[str, Any]:
    others = random.sample(wrong, min(NEGATIVES, len(wrong)))
    return {"query": query, "docs": [right, *others], "labels": [1.0] + [0.0] * len(others)}


def _untrained(base: str) -> CrossEncoder:
    return CrossEncoder(
        base,
        num_labels=1,
        max_length=MAX_TOKENS,
        local_files_only=True,
        # Of what transformers offers, the fastest backward pass on a CPU.
        model_kwargs={"attn_implementation": "eager"},
        config_kwargs={"attention_probs_dropout_prob": 0.0},
    )


def train(model: CrossEncoder, lists: list[dict[str, Any]], folder: Path) -> None:
    """Learn from lists, each seen once."""
    arguments = CrossEncoderTrainingArguments(
        output_dir=str(folder / "checkpoints"),
        num_train_epochs=1,
        per_device_train_batch_size=8,
        learning_rate=1e-4,
        warmup_steps=0.1,
        bf16=True,  # on CPUs that multiply it natively, several times faster
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        logging_steps=25,
        report_to="none",
        disable_tqdm=True,
        seed=SEED,
    )
    rows = Dataset.from_list(lists)
    CrossEncoderTrainer(model, arguments, train_dataset=rows, loss=LambdaLoss(model)).train()


def evaluate(model: CrossEncoder, data: Data, first: FirstStage) -> Mapping[str, float]:
    """What reranking the first stage's best changes on the test queries."""
    test = data.relevant["test"]
    ranked = first.rank([data.queries[query] for query in test])
    samples = [
        {
            "query": data.queries[query],
            "positive": [data.passage(each) for each in relevant if each in data.texts],
            "documents": [data.passage(each) for each in near],
        }
        for (query, relevant), near in zip(test.items(), ranked, strict=True)
    ]
    evaluator = CrossEncoderRerankingEvaluator(
        samples, at_k=10, always_rerank_positives=False, batch_size=32, write_csv=False
    )
    return dict(evaluator(model))


def main() -> None:
    """Train, save, and say what it is worth."""
    options = _options()
    random.seed(SEED)
    torch.manual_seed(SEED)
    base = str(prepare_model(DEFAULT_EMBEDDING_MODEL))
    data = load(options.data)
    print(f"indexing {len(data.texts)} documents")
    embedding = SentenceTransformer(base, local_files_only=True, model_kwargs={"dtype": "bfloat16"})
    first = FirstStage(data, embedding)
    titles = title_lists(data, first, options.titles)
    queries = query_lists(data, first, options.rounds)
    model = _untrained(base)
    print(f"learning from {len(titles)} titles, then from {len(queries)} queries")
    train(model, titles, options.out)
    train(model, queries, options.out)
    model.max_seq_length = SERVED_TOKENS
    model.save_pretrained(str(options.out))
    print(f"saved to {options.out}")
    if "test" in data.relevant:
        measured = evaluate(model.bfloat16(), data, first)
        print(json.dumps({name: round(float(value), 4) for name, value in measured.items()}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("data", type=Path, metavar="DATA_DIR", help="a BEIR-style folder")
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="where the model goes")
    parser.add_argument("--titles", type=int, default=300, help="titles to learn from first")
    parser.add_argument("--rounds", type=int, default=1, help="times that each query is seen")
    return parser.parse_args()


if __name__ == "__main__":
    main()
