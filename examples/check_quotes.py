"""Check every VERBATIM citation of answers again, from the outside.

    groundmesh ask "..." --collection docs --json > answers.json
    python examples/check_quotes.py answers.json --collection docs

The input has the objects of ``groundmesh ask --json``, any number of them, on lines or not. For
each VERBATIM citation the text of its source is read back from the mesh, at the citation's own
offsets, and must say word for word what the answer says at its offsets, what the citation gives as
its quote, and lie in the passage that the model was sent. Nothing of the gateway is imported: only
the client, and what "word for word" means (``groundmesh.quotes``). Exits with 1 if any is wrong.
"""

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from groundmesh.client import Client
from groundmesh.quotes import normalised

Answer = Mapping[str, Any]


async def check(answers: Iterator[Answer], *, server: str, collection: str) -> Counter[str]:
    """Print what is wrong; the citations of each kind, and how many of them are ``wrong``."""
    counted: Counter[str] = Counter()
    async with Client(server) as client:
        for answer in answers:
            counted["answers"] += 1
            for citation in answer.get("citations", ()):  # a question may have failed
                counted[citation["kind"]] += 1
                if citation["kind"] != "VERBATIM":
                    continue
                problem = await _problem(client, answer, citation, collection)
                if problem:
                    counted["wrong"] += 1
                    print(f"{answer['question']!r}: {problem}: {citation}")
    return counted


async def _problem(
    client: Client, answer: Answer, citation: Mapping[str, Any], collection: str
) -> str | None:
    said = answer["answer"].encode()[citation["answer_start"] : citation["answer_end"]].decode()
    source = next(each for each in answer["sources"] if each["n"] == citation["source"])
    text = await client.documents.text(
        source["uri"],
        collection=collection,
        start_byte=citation["start"],
        end_byte=citation["end"],
    )
    if not normalised(said):
        return "it quotes nothing"
    if text != citation["quote"]:
        return f"its quote is not what stands in the document, {text!r}"
    if normalised(text) != normalised(said):
        return f"the answer says otherwise, {said!r}"
    if normalised(text) not in normalised(source["text"]):
        return "it is not in the passage that was sent"
    return None


def read(path: Path) -> Iterator[Answer]:
    """The JSON objects of a file, whatever white space is between them."""
    text, decoder, at = path.read_text(encoding="utf-8").strip(), json.JSONDecoder(), 0
    while at < len(text):
        answer, end = decoder.raw_decode(text, at)
        yield answer
        at = end + len(text[end:]) - len(text[end:].lstrip())


def main() -> int:
    """Say how many citations there are of each kind, and how many are wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("answers", type=Path, help="what groundmesh ask --json printed")
    parser.add_argument("--collection", required=True, help="where the questions were put to")
    parser.add_argument("--server", default=os.environ.get("GROUNDMESH_SERVER", "127.0.0.1:50050"))
    given = parser.parse_args()
    answers = read(given.answers)
    counted = asyncio.run(check(answers, server=given.server, collection=given.collection))
    print(json.dumps({"VERBATIM": 0, "wrong": 0, **counted}))
    return 1 if counted["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
