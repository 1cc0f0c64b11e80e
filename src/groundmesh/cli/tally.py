"""What became of the files of an ingestion: counted, in a line, in a table, as JSON."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from groundmesh.cli.output import counted, printable
from groundmesh.cli.places import display_uri
from groundmesh.client import DocumentIngested, Outcome

OUTCOME_WORDS = (
    (Outcome.INDEXED, "new"),
    (Outcome.REPLACED, "replaced"),
    (Outcome.UNCHANGED, "unchanged"),
    (Outcome.FAILED, "failed"),
)


@dataclass
class Tally:
    """What has become of the files so far."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    failures: list[DocumentIngested] = field(default_factory=list)
    documents: list[DocumentIngested] | None = None
    """All of them, where a list is wanted."""
    pruned: list[str] = field(default_factory=list)
    """URIs of documents that were deleted, because their files are gone."""
    chunks: int = 0
    """That were written, not those of unchanged files."""
    began: float = field(default_factory=time.monotonic)

    def take(self, event: DocumentIngested) -> None:
        """Count one file."""
        self.outcomes[event.outcome] += 1
        if self.documents is not None:
            self.documents.append(event)
        if event.outcome in (Outcome.INDEXED, Outcome.REPLACED):
            self.chunks += event.chunk_count
        if event.outcome is Outcome.FAILED:
            self.failures.append(event)

    @property
    def done(self) -> int:
        """Files that are through, failed ones included."""
        return self.outcomes.total()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def summary(self, collection: str, *, noun: str = "file", pruned: bool = False) -> str:
        """All of it in one line."""
        parts = [f"{self.outcomes[outcome]} {word}" for outcome, word in OUTCOME_WORDS]
        reasons = Counter(event.error.reason for event in self.failures if event.error)
        why = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        if pruned:
            parts.append(f"{len(self.pruned)} gone and deleted")
        return (
            f"{counted(self.done, noun)} in {self.elapsed_s:.1f} s: {', '.join(parts)}"
            f"{f' ({why})' if why else ''}; "
            f"{counted(self.chunks, 'chunk')} written to {collection}"
        )


def failure_line(event: DocumentIngested) -> str:
    """A file that can't be taken, and why."""
    return printable(f"failed: {display_uri(event.uri)}: {_why(event)}")


def _why(event: DocumentIngested) -> str:
    if event.error is None:
        return "no reason was given"
    return f"{event.error.message} ({event.error.reason})"


def rows(documents: Sequence[DocumentIngested]) -> list[tuple[str, str, str, str]]:
    """A row for each file, by path: they come in the order in which they were done."""
    words = dict(OUTCOME_WORDS)
    made = [
        (
            words[each.outcome],
            "" if each.outcome is Outcome.FAILED else str(each.chunk_count),
            display_uri(each.uri),
            _why(each) if each.outcome is Outcome.FAILED else "",
        )
        for each in documents
    ]
    return sorted(made, key=lambda row: row[2])


def tally_json(tally: Tally, collection: str) -> dict[str, object]:
    """All of it, for scripts."""
    documents = tally.documents
    listed = None if documents is None else [_document_json(each) for each in documents]
    return {
        "collection": collection,
        "files": tally.done,
        **{outcome.lower(): tally.outcomes[outcome] for outcome, _ in OUTCOME_WORDS},
        "chunks": tally.chunks,
        "elapsed_s": round(tally.elapsed_s, 3),
        "pruned": tally.pruned,
        "failures": [{"uri": each.uri, **_error_json(each)} for each in tally.failures],
        **({} if listed is None else {"documents": listed}),
    }


def _document_json(event: DocumentIngested) -> dict[str, object]:
    shown = {"uri": event.uri, "outcome": event.outcome.lower(), "chunks": event.chunk_count}
    return {**shown, **_error_json(event)} if event.outcome is Outcome.FAILED else shown


def _error_json(event: DocumentIngested) -> dict[str, str]:
    return {
        "reason": event.error.reason if event.error else "",
        "message": event.error.message if event.error else "",
    }
