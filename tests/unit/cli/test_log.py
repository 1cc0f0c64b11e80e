"""The log file of a service."""

from pathlib import Path

from groundmesh.cli.up.log import ServiceLog, readable


def test_lines_are_put_together_from_chunks(tmp_path: Path) -> None:
    seen: list[str] = []
    log = ServiceLog(tmp_path / "a.log", on_line=seen.append)
    for chunk in (b"one\ntw", b"o\n\nthr", b"ee"):
        log.write(chunk)
    assert seen == ["one", "two"]
    assert log.tail(2) == ("two", "three")
    assert log.path.read_bytes() == b"one\ntwo\n\nthree"
    log.close()


def test_a_new_run_forgets_the_lines_of_the_one_before(tmp_path: Path) -> None:
    log = ServiceLog(tmp_path / "a.log")
    log.write(b"old\nhalf a li")
    log.forget_tail()
    log.write(b"new\n")
    assert log.tail(5) == ("new",)
    log.close()


def test_calls_that_were_answered_are_no_last_words(tmp_path: Path) -> None:
    seen: list[str] = []
    log = ServiceLog(tmp_path / "a.log", on_line=seen.append)
    log.write(b'{"message": "no disk"}\n{"logger": "groundmesh.access", "message": "Ask OK"}\n')
    assert log.tail(5) == ('{"message": "no disk"}',)
    assert len(seen) == 2
    assert b"Ask OK" in log.path.read_bytes()
    log.close()


def test_the_files_stay_bounded(tmp_path: Path) -> None:
    log = ServiceLog(tmp_path / "logs" / "a.log", max_file_bytes=1000)
    for number in range(500):
        log.write(f"line {number:03}\n".encode())
    log.close()
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "logs").iterdir()}
    assert sorted(sizes) == ["a.log", "a.log.1"]
    assert max(sizes.values()) <= 1000
    assert log.path.read_text().endswith("line 499\n")


def test_a_full_disk_stops_nobody() -> None:
    log = ServiceLog(Path("/dev/full"))
    log.write(b"last words\n")
    assert log.tail(1) == ("last words",)
    log.close()


def test_an_endless_line_takes_no_endless_memory(tmp_path: Path) -> None:
    log = ServiceLog(tmp_path / "a.log")
    for _ in range(100):
        log.write(b"\xff" * 10_000)
    assert len(log.tail(1)[0]) <= 4096
    log.close()


def test_a_log_is_appended_to(tmp_path: Path) -> None:
    for text in (b"first\n", b"second\n"):
        log = ServiceLog(tmp_path / "a.log")
        log.write(text)
        log.close()
    assert (tmp_path / "a.log").read_text() == "first\nsecond\n"


def test_records_are_shown_as_a_person_would_say_them() -> None:
    assert readable('{"level": "INFO", "message": "loading weights"}') == "loading weights"
    raised = '{"message": "it died", "exception": "Traceback\\n  x\\nOSError: disk full"}'
    assert readable(raised) == "it died (OSError: disk full)"
    assert readable("  plain text \n") == "plain text"
    assert readable('{"no": "message"}') == '{"no": "message"}'
    assert readable("[1]") == "[1]"
