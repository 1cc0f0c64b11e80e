import json
import logging

import pytest

from groundmesh.request_id import carrying
from groundmesh.server.logs import JsonFormatter, TextFormatter, configure_logs
from groundmesh.server.settings import ServerSettings


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("a.b", logging.INFO, "f.py", 1, message, (), None)
    vars(made).update(extra)
    return made


def test_a_json_line_holds_the_request_and_its_fields() -> None:
    with carrying("r1"):
        text = JsonFormatter("embedder").format(
            record("two\nlines “ж”", fields={"calls": 3, "tenant": None})
        )
    assert "\n" not in text
    line = json.loads(text)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "service": "embedder",
        "logger": "a.b",
        "message": "two\nlines “ж”",
        "request_id": "r1",
        "calls": 3,
    }


def test_an_exception_is_in_the_line() -> None:
    try:
        raise KeyError("k")
    except KeyError as error:
        made = record("failed", exc_info=(KeyError, error, error.__traceback__))
    assert "KeyError: 'k'" in json.loads(JsonFormatter("s").format(made))["exception"]
    assert "KeyError: 'k'" in TextFormatter("s").format(made)


def test_a_text_line_is_for_people() -> None:
    text = TextFormatter("embedder").format(record("is ready", fields={"address": "h:1"}))
    assert text.endswith("INFO    embedder is ready address=h:1")


def test_logs_go_to_standard_output_from_the_level_that_is_set(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    try:
        configure_logs("embedder", ServerSettings(log_level="warning"))
        logging.getLogger("some.library").info("chatter")
        logging.getLogger("some.library").warning("trouble")
    finally:
        root.handlers, root.level = before, level
    out, err = capsys.readouterr()
    assert err == ""
    assert [json.loads(line)["message"] for line in out.splitlines()] == ["trouble"]
