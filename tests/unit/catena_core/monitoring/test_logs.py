"""Log lines, for people and for machines."""

import json
import logging
import re
import warnings

import pytest

from catena_core.monitoring.logs import LinkLogger, configure


@pytest.fixture
def lines(capsys):
    """Read the lines logged since the last call; afterwards the root logger is as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield lambda: capsys.readouterr().err.splitlines()
    logging.captureWarnings(False)
    root.handlers, root.level = handlers, level


def test_text_is_one_line_with_time_level_and_name(lines):
    configure("info")
    LinkLogger("Sorter").log("sorted %d things")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO    Sorter: sorted %d things", lines()[0])


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", "DEBUG"),
        ("INFO", "INFO"),
        ("warn", "WARNING"),
        ("WARN", "WARNING"),
        ("Warning", "WARNING"),
        ("error", "ERROR"),
        ("CRITICAL", "CRITICAL"),
        ("no such level", "WARNING"),
    ],
)
def test_levels_are_known_by_every_name_that_links_use(lines, level, shown):
    configure("debug")
    LinkLogger("Sorter").log("message", level=level)
    assert f" {shown} " in lines()[0]


def test_what_is_below_the_level_is_not_written(lines):
    configure("WARNING")
    LinkLogger("Sorter").log("message")
    LinkLogger("Sorter").log("message", "warn")
    assert len(lines()) == 1


@pytest.mark.parametrize("level", ["exception", "EXCEPTION"])
def test_an_exception_comes_with_its_traceback(lines, level):
    configure("info")
    try:
        raise ValueError("the reason")
    except ValueError:
        LinkLogger("Sorter").log("it failed", level=level)
    first, *trace = lines()
    assert " ERROR " in first
    assert trace[0].startswith("Traceback") and trace[-1] == "ValueError: the reason"


def test_exception_without_an_exception_is_an_error(lines):
    configure("info")
    LinkLogger("Sorter").log("it failed", level="exception")
    (line,) = lines()
    assert " ERROR " in line


def test_json_is_one_object_a_line_with_the_links_fields(lines):
    configure("info", "json", {"link": "Sorter", "uid": "host-1", "group": "sorters", "time": "is the record's own"})
    try:
        raise ValueError("the\nreason")
    except ValueError:
        LinkLogger("Sorter").log("it\nfailed", level="exception")
    (text,) = lines()
    line = json.loads(text)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line.pop("exception").endswith("ValueError: the\nreason")
    assert line == {
        "link": "Sorter",
        "uid": "host-1",
        "group": "sorters",
        "level": "error",
        "logger": "Sorter",
        "message": "it\nfailed",
    }


def test_other_libraries_lines_and_warnings_are_json_as_well(lines):
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)  # not of what other tests have left to the garbage collector
        configure("info", "json")
        logging.getLogger("some.library").warning("%s of %s", 1, 2)
        warnings.warn("old-fashioned", stacklevel=1)
    first, second = map(json.loads, lines())
    assert (first["logger"], first["message"]) == ("some.library", "1 of 2")
    assert second["logger"] == "py.warnings" and "old-fashioned" in second["message"]


def test_text_that_is_no_unicode_is_written_all_the_same(lines):
    configure("info", "json")
    LinkLogger("Sorter").log("file \udcff")
    assert json.loads(lines()[0])["message"] == "file \\udcff"


NASTY = "a\x1b[31m\x9b2J\r\n2026-01-01 00:00:00,000 ERROR   Sorter: forged\u2028\u202e"


def test_text_of_strangers_stays_on_its_line_and_moves_no_terminal(lines):
    configure("info")
    LinkLogger("Sorter").log(f"the name is {NASTY}")
    logging.getLogger("some.library").warning("%s", NASTY)
    found = lines()
    assert len(found) == 2
    assert all(line.isprintable() for line in found)


def test_json_of_strangers_moves_no_terminal_and_says_the_same(lines):
    configure("info", "json")
    LinkLogger("Sorter").log(NASTY + "\U000e0001")
    (line,) = lines()
    assert line.isprintable()
    assert json.loads(line)["message"] == NASTY + "\U000e0001"


@pytest.mark.parametrize("form", ["text", "json"])
def test_long_text_is_cut(lines, form):
    configure("info", form)
    LinkLogger("Sorter").log("x" * 1_000_000)
    assert len(lines()[0]) < 11_000


@pytest.mark.parametrize("form", ["text", "json"])
def test_passwords_are_masked_also_in_tracebacks(lines, form):
    configure("info", form)
    try:
        raise ValueError("http://ada:pw-1@host/ says sasl.password=pw-1")
    except ValueError as error:
        LinkLogger("Sorter").log(f"it failed: {error}", level="exception")
    text = "".join(lines())
    assert "pw-1" not in text and "http://***@host/" in text


def test_no_line_of_a_traceback_looks_like_a_line_of_the_log(lines):
    configure("info")
    try:
        raise ValueError("a\n2026-01-01 00:00:00,000 ERROR   Sorter: forged\x1b[31m")
    except ValueError:
        LinkLogger("Sorter").log("it failed", level="exception")
    found = lines()
    assert [line for line in found if re.match(r"\d", line)] == found[:1]
    assert all(line.isprintable() for line in found)


def test_several_lines_are_kept_where_they_are_meant(lines):
    configure("info")
    LinkLogger("Sorter").log("stacks:\n  one\n\x1btwo", several_lines=True)
    assert [line.rpartition("Sorter: ")[2] for line in lines()] == ["stacks:", "  one", "\\x1btwo"]
