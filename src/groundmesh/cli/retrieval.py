"""The retrieval options of ``ask`` and ``search``."""

from collections.abc import Iterable

import typer

from groundmesh.cli.options import FusionName, SearchModeName
from groundmesh.client import (
    Diversity,
    Filter,
    Fusion,
    Passage,
    RankFusion,
    Retrieval,
    SearchMode,
    WeightedFusion,
)

_EVEN = 0.5


def retrieval(
    mode: SearchModeName | None,
    limit: int | None,
    *,
    where: Filter | None,
    fusion: FusionName | None,
    dense_weight: float | None,
    rerank: bool,
    diversity: float | None,
    merge_neighbors: bool,
) -> Retrieval:
    """What the client takes; what was left out is the mesh's to choose."""
    return Retrieval(
        mode=SearchMode.UNSPECIFIED if mode is None else SearchMode(mode.upper()),
        limit=limit or 0,
        filter=where,
        fusion=_fusion(fusion, dense_weight),
        rerank=rerank,
        diversity=None if diversity is None else Diversity(diversity),
        merge_neighbors=merge_neighbors,
    )


def is_reranked(passages: Iterable[Passage]) -> bool:
    """Whether the cross-encoder ordered them."""
    return any(passage.rerank_score is not None for passage in passages)


def ranking_text(mode: SearchMode, passages: Iterable[Passage]) -> str:
    """What passages are ranked by: ``hybrid search, reranked``."""
    return f"{mode.lower()} search{', reranked' if is_reranked(passages) else ''}"


def _fusion(fusion: FusionName | None, dense_weight: float | None) -> Fusion | None:
    if fusion is FusionName.RANKS:
        if dense_weight is not None:
            raise typer.BadParameter("goes with --fusion weights", param_hint="--dense-weight")
        return RankFusion()
    if fusion is None and dense_weight is None:
        return None
    return WeightedFusion(_EVEN if dense_weight is None else dense_weight)
