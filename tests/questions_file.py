"""Files of questions, written for a test."""

import json
from pathlib import Path

ARTICLES = {
    "Fruit": (("Apples are sour.", "What is sour?", "Apples"),),
    "Stone_Age": (
        ("Flint is hard.", "What is hard?", "Flint"),
        ("Caves are dark.", "What is dark?", "Caves"),
    ),
}
"""Paragraphs by article, each with a question and its answer."""


def squad_file(path: Path) -> Path:
    """SQuAD 2.0: each paragraph has a second question, that it does not answer."""
    data = []
    for title, rows in ARTICLES.items():
        paragraphs = []
        for context, question, answer in rows:
            start = context.index(answer)
            qas = [
                {
                    "id": question.lower(),
                    "question": question,
                    "answers": [{"text": answer, "answer_start": start}],
                    "is_impossible": False,
                },
                {
                    "id": f"not {question.lower()}",
                    "question": question.replace("What", "Who"),
                    "answers": [],
                    "is_impossible": True,
                },
            ]
            paragraphs.append({"context": context, "qas": qas})
        data.append({"title": title, "paragraphs": paragraphs})
    path.write_text(json.dumps({"version": "v2.0", "data": data}), encoding="utf-8")
    return path
