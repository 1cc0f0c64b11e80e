"""What every embedding engine must do; held against the fake and against sentence-transformers."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from groundmesh_embedder.backends import open_backend
from groundmesh_embedder.backends.base import (
    Backend,
    BackendOptions,
    EmbeddingModel,
    Encoded,
    InputKind,
    Reranker,
    Rows,
)
from tests.embedding_models import cross_encoder, minilm, minilm_with_prompts
from tests.fakes.embedding import FakeEmbeddingBackend

ENGINES = ["fake", pytest.param("sentence-transformers", marks=pytest.mark.e2e)]
WORDS = ["grounded", "mesh", "Zürich", "東京", "🦊", "[SEP]", "<s>", "don't", "...", "e=mc2"]
TEXTS = st.text(min_size=1, max_size=80).filter(lambda text: bool(text.strip())) | st.lists(
    st.sampled_from(WORDS), min_size=1, max_size=120
).map(" ".join)

real_model = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def open_engine(name: str, **options: Any) -> Backend:
    if name == "fake":
        return FakeEmbeddingBackend(max_input_tokens=64)
    return open_backend(name, BackendOptions(**options))


@pytest.fixture(scope="module", params=ENGINES)
def model(request: pytest.FixtureRequest) -> EmbeddingModel:
    name = "fake" if request.param == "fake" else str(minilm())
    return open_engine(request.param).load_embedding_model(name)


@pytest.fixture(scope="module", params=ENGINES)
def reranker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reranker:
    folder = tmp_path_factory.mktemp("reranker") / "judge"
    name = "fake" if request.param == "fake" else str(cross_encoder(folder))
    return open_engine(request.param).load_reranker(name)


def embed(model: EmbeddingModel, texts: Sequence[str]) -> Rows:
    return model.run(model.encode(texts, InputKind.PASSAGE))


def cosines(left: Rows, right: Rows) -> Rows:
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    result: Rows = (left * right).sum(axis=1) / norms
    return result


def test_rows_are_as_described(model: EmbeddingModel) -> None:
    vectors = embed(model, ["one", "two words", "three more words"])
    assert vectors.shape == (3, model.info.dimension)
    assert vectors.dtype == np.float32
    assert model.info.normalized
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@real_model
@given(texts=st.lists(TEXTS, min_size=2, max_size=12))
def test_a_text_has_the_same_vector_alone_and_in_any_batch(
    model: EmbeddingModel, texts: list[str]
) -> None:
    together = embed(model, texts)
    alone = np.concatenate([embed(model, [text]) for text in texts])
    assert cosines(together, alone).min() > 0.999


@real_model
@given(texts=st.lists(TEXTS, min_size=1, max_size=8), kind=st.sampled_from(InputKind))
def test_the_tokenizer_handed_out_counts_exactly_as_the_model(
    model: EmbeddingModel, texts: list[str], kind: InputKind
) -> None:
    handed = Tokenizer.from_str(model.tokenizer_json.decode())
    counted = [len(handed.encode(text).ids) for text in texts]
    assert [encoded.tokens for encoded in model.encode(texts, kind)] == counted


@pytest.mark.parametrize("words", [1, 100, 5000])
def test_reads_no_more_than_it_says(model: EmbeddingModel, words: int) -> None:
    most = model.info.max_input_tokens
    short, long = model.encode(["word", "word " * words], InputKind.QUERY)
    assert not short.truncated
    assert long.tokens == words + 2
    assert long.read == min(long.tokens, most)
    assert long.truncated == (long.tokens > most)
    assert np.isfinite(model.run([short, long])).all()


def test_scores_are_one_a_pair_whatever_the_batch(reranker: Reranker) -> None:
    passages = ["a red fox jumps", "an entirely other matter", "red", "fox " * 2000]
    pairs = reranker.encode_pairs("the red fox", passages)
    together = reranker.run(pairs)
    assert together.shape == (4,)
    assert together.dtype == np.float32
    alone = [float(reranker.run([pair])[0]) for pair in pairs]
    assert np.allclose(together, alone, atol=5e-3)
    assert [pair.truncated for pair in pairs] == [False, False, False, True]
    assert max(pair.read for pair in pairs) <= reranker.info.max_input_tokens


def test_encodes_in_one_thread_while_it_runs_in_another(model: EmbeddingModel) -> None:
    texts = ["a few words", "word " * 100, "word " * 1000]
    expected = embed(model, texts)
    counts = [encoded.tokens for encoded in model.encode(texts, InputKind.PASSAGE)]
    encoded = model.encode(texts, InputKind.PASSAGE)
    # One thread for each: two that encode would change each other's setting of what is cut off.
    with ThreadPoolExecutor(1) as running, ThreadPoolExecutor(1) as encoding:
        rows = [running.submit(model.run, encoded) for _ in range(20)]
        again = [encoding.submit(model.encode, texts, InputKind.PASSAGE) for _ in range(20)]
        assert all(np.allclose(each.result(), expected, atol=1e-2) for each in rows)
        assert all([e.tokens for e in each.result()] == counts for each in again)


# What only sentence-transformers promises: to be what its users know.

PLAIN = ["A question?", "Some passage of a document. " * 30, "x"]


def reference(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


@pytest.mark.e2e
@pytest.mark.parametrize(("dtype", "cosine"), [("f32", 0.999999), ("bf16", 0.999)])
def test_is_what_sentence_transformers_makes(dtype: str, cosine: float) -> None:
    model = open_engine("sentence-transformers", dtype=dtype).load_embedding_model(str(minilm()))
    expected = reference(minilm()).encode(PLAIN)
    assert cosines(embed(model, PLAIN), expected).min() > cosine


@pytest.mark.e2e
@pytest.mark.parametrize("pool_prompt", [True, False])
def test_takes_prompts_and_pooling_from_the_model(tmp_path: Path, pool_prompt: bool) -> None:
    folder = minilm_with_prompts(tmp_path / "prompted", pool_prompt=pool_prompt)
    model = open_engine("sentence-transformers", dtype="f32").load_embedding_model(str(folder))
    assert (model.info.query_prompt, model.info.passage_prompt) == (
        "question: ",
        "a passage of some document: ",
    )
    known = reference(folder)
    for kind, expected in (
        (InputKind.QUERY, known.encode_query(PLAIN)),
        (InputKind.PASSAGE, known.encode(PLAIN, prompt_name="passage")),
    ):
        assert cosines(model.run(model.encode(PLAIN, kind)), expected).min() > 0.99999
    query, passage = (model.encode(["x"], kind)[0] for kind in InputKind)
    assert query.tokens < passage.tokens
    assert (query.group == passage.group) is pool_prompt


@pytest.mark.e2e
def test_settings_win_over_the_prompts_of_the_model(tmp_path: Path) -> None:
    folder = minilm_with_prompts(tmp_path / "prompted", pool_prompt=True)
    engine = open_engine("sentence-transformers", query_prompt="", passage_prompt="doc: ")
    model = engine.load_embedding_model(str(folder))
    assert (model.info.query_prompt, model.info.passage_prompt) == ("", "doc: ")


@pytest.mark.e2e
def test_scores_are_those_of_cross_encoder_predict(tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    folder = cross_encoder(tmp_path / "judge")
    engine = open_engine("sentence-transformers", dtype="f32")
    reranker = engine.load_reranker(str(folder))
    passages = [*PLAIN, "word " * 1000]
    expected = CrossEncoder(str(folder), device="cpu").predict([("why?", p) for p in passages])
    scores = reranker.run(reranker.encode_pairs("why?", passages))
    assert np.allclose(scores, expected, atol=1e-5)
    assert len(set(np.round(expected, 6))) == len(passages)


def test_encoded_knows_what_was_cut_off() -> None:
    assert Encoded({}, tokens=3, read=2).truncated
    assert not Encoded({}, tokens=3, read=3).truncated
