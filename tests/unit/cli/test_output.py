"""What a person is shown of files, sizes and times."""

from pathlib import Path

import pytest

from groundmesh.cli.output import milliseconds_text, printable, size_text
from groundmesh.cli.places import display_uri, path_of, place_text, uri_of
from groundmesh.cli.problems import Exit, Problem, problem_of
from groundmesh.cli.up.live import duration_text
from groundmesh.cli.walking import find_files
from groundmesh.client import MeshUnreachable, Place, Upload
from groundmesh.errors import DeadlineExceeded, InvalidArgument, Unavailable


def test_a_uri_is_shown_as_the_path_that_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert display_uri((tmp_path / "a b" / "ü%.txt").as_uri()) == "a b/ü%.txt"
    assert display_uri("file:///elsewhere/x.txt") == "/elsewhere/x.txt"
    assert display_uri("https://example.com/a%20b") == "https://example.com/a%20b"
    assert path_of("file://otherhost/x") is None


def test_paths_become_the_uris_that_ingest_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "./x/../a.txt", str(tmp_path / "a.txt"), "ü %#?.txt"):
        assert uri_of(name) == Upload.of_file(name).uri
    for reference in ("https://a/b", "tenants/t/collections/c/documents/d", "0123456789abcdef" * 2):
        assert uri_of(reference) == reference


def test_places_read_as_a_person_would_say_them() -> None:
    assert place_text("https://a/b", Place(("Setup", "Linux"), page=3)) == (
        "https://a/b, page 3, Setup > Linux"
    )
    assert place_text("https://a/b", Place()) == "https://a/b"
    assert str(Place(sheet="Costs")) == "sheet Costs"
    assert str(Place(slide=2)) == "slide 2"


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert printable("a\x1b[31mb\x00\x7f\x9bc\td\ne\r") == "a[31mbc\td\ne"


def test_numbers_are_written_as_people_do() -> None:
    assert [size_text(n) for n in (0, 999, 1400, 2_500_000, 3_000_000_000_000)] == [
        "0 bytes",
        "999 bytes",
        "1.4 kB",
        "2.5 MB",
        "3000.0 GB",
    ]
    assert [milliseconds_text(n) for n in (0.4, 8, 999.4, 1900)] == [
        "0 ms",
        "8 ms",
        "999 ms",
        "1.9 s",
    ]
    assert [duration_text(n) for n in (0, 59.9, 185, 7800)] == [
        "0 s",
        "59 s",
        "3 min 5 s",
        "2 h 10 min",
    ]


def test_files_are_found_once_sorted_and_without_what_holds_no_text(tmp_path: Path) -> None:
    texts = ("a.docx", "a.eml", "a.epub", "a.jsonl", "a.md", "a.ts", "b.txt", "noend")
    for name in (*texts, "x.PNG", "y.tar.gz", ".hidden", "sub/c.html"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    found = find_files([tmp_path / "b.txt", tmp_path, tmp_path / "x.PNG"])
    names = [str(path.relative_to(tmp_path)) for path in found.files]
    assert names == ["b.txt", *(name for name in texts if name != "b.txt"), "sub/c.html", "x.PNG"]
    assert found.passed_over == {".png": 1, ".gz": 1}


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="nowhere") as problem:
        find_files([tmp_path / "nowhere"])
    assert problem.value.exit_code is Exit.USAGE


def test_exit_codes_tell_trying_again_from_giving_up() -> None:
    assert problem_of(MeshUnreachable("x")).exit_code is Exit.UNREACHABLE
    assert problem_of(Unavailable("x")).exit_code is Exit.UNREACHABLE
    assert problem_of(DeadlineExceeded("x")).exit_code is Exit.UNREACHABLE
    assert problem_of(InvalidArgument("x")).exit_code is Exit.FAILED
    assert "groundmesh up" in problem_of(MeshUnreachable("x")).hint
