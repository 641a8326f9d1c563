"""Scenario files: which rule counts, and what is said of a file that cannot work."""

from pathlib import Path

import pytest

from tests.server.simulation.conftest import MakePlanner
from video_translation_server.errors import InvalidError
from video_translation_server.model import Subject
from video_translation_server.simulation.scenario import Scenario, load
from video_translation_server.wire.scripts import FAILURES, Script

TALK = Subject(title="Talk", language="German", url="https://example.com/talk.mp4")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scenario.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ("{}", True),
        ('{ title = "T*" }', True),
        ('{ title = "t*" }', False),
        ('{ url = "*/talk.mp4", language = "German" }', True),
        ('{ url = "*/talk.mp4", language = "French" }', False),
        ("{ number = 2 }", True),
        ("{ number = [1, 3] }", False),
    ],
)
def test_a_rule_is_for_those_whom_all_of_it_fits(tmp_path: Path, when: str, fits: bool) -> None:
    scenario = load(written(tmp_path, f"[[rule]]\nwhen = {when}\nscript = {{ duration_seconds = 3 }}"))
    assert scenario.script(TALK, 2) == (Script(duration_seconds=3) if fits else Script())


def test_the_first_rule_that_fits_counts_and_leaves_the_rest_to_the_defaults(tmp_path: Path) -> None:
    text = """
[defaults]
duration_seconds = 1
url_delay_seconds = 2
[[rule]]
script = { duration_seconds = 3 }
[[rule]]
script = { duration_seconds = 4, url_delay_seconds = 5 }
"""
    assert load(written(tmp_path, text)).script(TALK, 1) == Script(duration_seconds=3, url_delay_seconds=2)


def test_a_preset_may_have_another_text_or_be_new(make_planner: MakePlanner, tmp_path: Path) -> None:
    scenario = load(
        written(
            tmp_path,
            '[messages]\nno_audio = "No sound at all"\ntoo_loud = "Turn it down"\nEMPTY_AUDIO_STREAM = "Theirs"',
        )
    )
    planner = make_planner(scenario=scenario)
    said = [
        planner.plan(Script(outcome="failed", error_message=message)).failure_message
        for message in ("no_audio", "too_loud", "EMPTY_AUDIO_STREAM", "too_long", "a text")
    ]
    assert said == ["No sound at all", "Turn it down", "Theirs", FAILURES["too_long"], "a text"]


def test_a_stall_that_is_given_up_says_what_the_scenario_says(make_planner: MakePlanner, tmp_path: Path) -> None:
    scenario = load(written(tmp_path, '[messages]\ntimeout = "It took too long"'))
    plan = make_planner(scenario=scenario).plan(Script(outcome="failed", stalls=1))
    assert plan.failure_message == "It took too long"


def test_the_guides_file_is_a_scenario(tmp_path: Path) -> None:
    guide = Path(__file__).parents[3] / "docs" / "guides" / "scenarios.md"
    text = guide.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    scenario = load(written(tmp_path, text))
    assert scenario.script(Subject(title="a broken one"), 9) == Script(
        outcome="failed", error_message="no_audio", duration_seconds=2
    )
    assert scenario.script(TALK, 3).polls == 2


def test_an_empty_file_is_a_scenario(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == Scenario()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[[rule]]\nscript = { outcome }", "line 2"),
        ("[[rule]]\nscript = {}\n[[rule]]\nscript = { outcome = 'no' }", "rule 2, script.outcome: "),
        ("[[rule]]\nwhen = { number = 0 }\nscript = {}", "rule 1, when.number.0: "),
        ("[[rule]]\nwhen = { size = 3 }\nscript = {}", "rule 1, when.size: "),
        ("[[rule]]\nwhen = {}", "rule 1, script: "),
        ("[[rule]]\nscript = { id = 'x' }", "rule 1, script: id names one job"),
        ("[defaults]\nduration_seconds = -1", "defaults.duration_seconds: "),
        ("[[rules]]\nscript = {}", "rules: "),
        ("[messages]\n'Two words' = 'x'", "messages.Two words"),
        ("[messages]\nno_audio = ''", "messages.no_audio: "),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InvalidError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert place in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match=r"none\.toml: No such file.*--scenario"):
        load(tmp_path / "none.toml")


def test_scripts_of_rules_leave_the_other_fates_as_they_were(make_planner: MakePlanner, tmp_path: Path) -> None:
    scenario = load(written(tmp_path, "[[rule]]\nwhen = { number = 2 }\nscript = { duration_seconds = 100 }"))
    plain, scripted = make_planner(seconds=(1, 9)), make_planner(seconds=(1, 9), scenario=scenario)
    expected, found = ([planner.plan(Script(), TALK) for _ in range(3)] for planner in (plain, scripted))
    assert (found[0], found[2]) == (expected[0], expected[2])
    assert found[1].running_seconds == 90
