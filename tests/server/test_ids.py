"""Ids and secrets: random, or of a seed; and chance by occasion."""

import re
import threading

import pytest

from video_translation_server.chance import Chance
from video_translation_server.ids import Names, ordinal


def of(seed: int | None, chapter: int = 1) -> Names:
    names = Names()
    names.begin(seed, chapter)
    return names


def test_without_a_seed_nothing_comes_twice() -> None:
    made = [names("vt") for names in (Names(), of(None), of(None)) for _ in range(3)]
    assert len(set(made)) == 9
    assert len({names.token("whsec", 32) for names in (Names(), Names())}) == 2


def test_a_seed_names_the_same_things_alike() -> None:
    one, other = of(7), of(7)
    assert [one("vt"), one("evt"), one("vt")] == [other("vt"), other("evt"), other("vt")]
    assert one.token("whsec", 32) == other.token("whsec", 32) != one.token("whsec", 32)
    assert len(one.token("whsec", 32)) == 32


def test_names_of_one_kind_do_not_disturb_another_or_a_row_apart() -> None:
    one, other = of(7), of(7)
    expected = [one("evt") for _ in range(3)]
    notice = other.apart("store")
    noise = [made for _ in range(3) for made in (other("req"), notice("evt"), other.token("whsec", 4))]
    assert [other("evt") for _ in range(3)] == expected
    assert not set(expected) & set(map(str, noise))


@pytest.mark.parametrize("other", [of(8), of(7, chapter=2), of(-7), of(71)])
def test_no_other_seed_and_no_other_chapter_gives_the_same(other: Names) -> None:
    names = of(7)
    assert not {names("vt") for _ in range(100)} & {other("vt") for _ in range(100)}
    assert names.token("whsec", 32) != other.token("whsec", 32)


def test_secrets_are_chance_where_others_can_reach_the_server() -> None:
    one, other = Names(keeps_secrets=True), Names(keeps_secrets=True)
    one.begin(7, 1)
    other.begin(7, 1)
    assert one("vt") == other("vt")
    assert one.token("whsec", 32) != other.token("whsec", 32)


def test_a_seeded_id_looks_like_any_and_tells_how_manieth_it_is() -> None:
    names, later = of(7), of(7, chapter=2)
    for number in range(1, 12):
        made, again = names("vt"), later("vt")
        assert re.fullmatch("vt_[0-9a-f]{32}", made)
        assert int(ordinal(made), 16) == number
        assert ordinal(made) == ordinal(again)


def test_two_threads_never_get_the_same() -> None:
    names = of(7)
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.extend(names("evt") for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 2000


def test_chance_goes_by_the_occasion_and_not_by_the_order_of_asking() -> None:
    one, other = Chance(3), Chance(3)
    occasions = [("jitter", "evt_1", number) for number in range(200)]
    drawn = [one(*occasion) for occasion in occasions]
    assert drawn == [other(*occasion) for occasion in reversed(occasions)][::-1]
    assert len(set(drawn)) == 200
    assert min(drawn) >= 0
    assert max(drawn) < 1
    assert 0.4 < sum(drawn) / 200 < 0.6
    assert Chance(4)(*occasions[0]) != drawn[0]
    assert Chance(None)(*occasions[0]) != Chance(None)(*occasions[0])
    other.sow(4)
    assert other(*occasions[0]) == Chance(4)(*occasions[0])
