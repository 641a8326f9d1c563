"""docs/fidelity.md is as complete as contract/: no path, field or event type without a word on whose it is."""

from pathlib import Path

from tests.contract import fidelity

PAGE = fidelity.PAGE.read_text("utf-8")


def test_the_tables_are_those_of_today() -> None:
    assert fidelity.written(PAGE) == PAGE, "docs/fidelity.md is stale; run `make contract` and commit what it wrote"


def test_what_the_tables_are_made_of_has_no_gap() -> None:
    for name in fidelity.operations():
        assert f"| `{name}` |" in PAGE
    known = {
        name for name, facts in fidelity.FACTS.items() if fidelity.OUT_OF_SCOPE not in name and "response" in facts
    }
    listed = {line.split("`")[1] for line in PAGE.partition("## Fields")[2].splitlines() if " | answer | " in line}
    assert known <= listed


def test_a_field_that_nobody_has_marked_shows_up_as_ours() -> None:
    faithful, ours = fidelity.divided({"data.id", "data.mood"}, {"data.id", "data.title"}, is_known=True)
    assert (faithful, ours) == ("`data.id`", "`data.mood`")


def test_the_tests_that_the_page_names_are_there() -> None:
    for name in ("test_server_takes.py", "test_server_surface.py", "test_server_fits_its_description.py"):
        assert name in PAGE
        assert (Path(__file__).parent / name).is_file()
