"""The harness can fail: made-up records with each kind of wrong in them, and the verdict on each."""

from collections import Counter
from typing import Any

import pytest

from tests.chaos.record import Answer, Kill, Logged, Pair, Receipt, Record
from tests.chaos.verdict import judge

STATUSES = ("pending", "running", "completed")


def logged(job: str = "vt_1") -> list[Logged]:
    return [
        Logged(f"{job}:{sequence}", job, sequence, status, fingerprint=f"{job}:{sequence}")
        for sequence, status in enumerate(STATUSES, start=1)
    ]


def receipt(sequence: int, at: float, answer: Answer = Answer.TAKEN, **fields: Any) -> Receipt:
    event = f"vt_1:{sequence}"
    values: dict[str, Any] = {"job": "vt_1", "fingerprint": event, "life": 0, "answered_at": at + 0.1} | fields
    return Receipt(pair=Pair("ep_1", event), sequence=sequence, at=at, answer=answer, **values)


def record(*receipts: Receipt, **fields: Any) -> Record:
    """One job, one endpoint, no kill."""
    log = logged()
    values: dict[str, Any] = {"accepted": {"vt_1": "completed"}, "log": log, "owed": {"ep_1": log}} | fields
    return Record(receipts=list(receipts), **values)


def test_everything_once_and_in_order_is_good() -> None:
    verdict = judge(record(receipt(1, 1), receipt(2, 2), receipt(3, 3)))
    assert verdict.problems == ()
    assert verdict.as_json(seed=7) == {
        "kills": 0,
        "jobs": 1,
        "events": 3,
        "attempts": 0,
        "lost": 0,
        "out_of_order": 0,
        "duplicates": 0,
        "duplicates_bound": 0,
        "recovery_s": {"p50": None, "max": None},
        "seed": 7,
    }


@pytest.mark.parametrize("answer", [Answer.FAILED, Answer.HUNG, Answer.NONE, Answer.SWALLOWED])
def test_an_event_that_was_sent_and_never_taken_is_lost(answer: Answer) -> None:
    verdict = judge(record(receipt(1, 1), receipt(2, 2), receipt(3, 3, answer)))
    assert verdict.lost == 1
    assert "1 lost" in verdict.problems[0]


def test_an_event_that_was_never_sent_is_lost() -> None:
    assert judge(record(receipt(1, 1), receipt(2, 2))).lost == 1


def test_an_endpoint_that_got_nothing_lost_everything_it_was_owed() -> None:
    good = [receipt(1, 1), receipt(2, 2), receipt(3, 3)]
    assert judge(record(*good, owed={"ep_1": logged(), "ep_2": logged()[1:]})).lost == 2


def test_an_accepted_job_without_a_trace_in_the_log_is_lost() -> None:
    good = [receipt(1, 1), receipt(2, 2), receipt(3, 3)]
    assert judge(record(*good, accepted={"vt_1": "completed", "vt_2": "failed"})).lost == 3


def test_a_transition_that_never_happened_is_lost_also_of_a_job_that_nobody_was_told_of() -> None:
    log = logged()[:2]
    seen = record(receipt(1, 1), receipt(2, 2), log=log, owed={"ep_1": log}, accepted={})
    assert judge(seen).lost == 1


def test_a_job_that_ends_otherwise_than_it_was_told_to_is_lost() -> None:
    good = [receipt(1, 1), receipt(2, 2), receipt(3, 3)]
    assert judge(record(*good, accepted={"vt_1": "failed"})).lost == 1


def test_what_was_set_aside_is_not_lost_where_a_later_transition_was_taken() -> None:
    seen = [receipt(1, 1), receipt(2, 2, Answer.FAILED), receipt(3, 3)]
    assert judge(record(*seen, set_aside=frozenset({Pair("ep_1", "vt_1:2")}))).problems == ()


def test_what_was_set_aside_without_a_later_one_is_lost() -> None:
    seen = record(receipt(1, 1), receipt(2, 2), set_aside=frozenset({Pair("ep_1", "vt_1:3")}))
    assert judge(seen).lost == 1


def test_a_lower_sequence_after_a_higher_one_is_out_of_order() -> None:
    # Both came at the wrong time: 3 before 2 was taken, 2 after 3.
    verdict = judge(record(receipt(1, 1), receipt(3, 2), receipt(2, 3)))
    assert verdict.out_of_order == 2
    assert "out of order" in verdict.problems[0]


def test_an_event_that_overtakes_one_still_being_retried_is_out_of_order() -> None:
    failed = receipt(1, 1, Answer.FAILED)
    assert judge(record(failed, receipt(2, 2), receipt(1, 3), receipt(3, 4))).out_of_order == 1


def test_an_event_that_comes_while_the_one_before_is_being_answered_is_out_of_order() -> None:
    assert judge(record(receipt(1, 1, answered_at=2.5), receipt(2, 2), receipt(3, 3))).out_of_order == 1


def test_a_repeat_of_an_earlier_one_is_not_out_of_order() -> None:
    repeated = record(receipt(1, 1), receipt(2, 2), receipt(1, 3), receipt(3, 4))
    assert judge(repeated).out_of_order == 0


def test_a_retry_of_what_was_not_taken_is_no_duplicate() -> None:
    verdict = judge(record(receipt(1, 1, Answer.FAILED), receipt(1, 2, Answer.HUNG), receipt(1, 3), *rest()))
    assert (verdict.duplicates, verdict.problems) == (0, ())


def rest() -> list[Receipt]:
    return [receipt(2, 10, life=1), receipt(3, 11, life=1)]


def test_a_repeat_without_a_reason_is_caught() -> None:
    verdict = judge(record(receipt(1, 1), receipt(1, 2), *rest()))
    assert (verdict.duplicates, verdict.duplicates_bound) == (1, 0)
    assert any("needless" in problem for problem in verdict.problems)
    assert any("at most 0" in problem for problem in verdict.problems)


def test_a_repeat_of_a_cut_answer_is_explained_once() -> None:
    cut = receipt(1, 1, Answer.SWALLOWED)
    verdict = judge(record(cut, receipt(1, 2), *rest()))
    assert (verdict.duplicates, verdict.duplicates_bound, verdict.problems) == (1, 1, ())
    assert judge(record(cut, receipt(1, 2), receipt(1, 3), *rest())).problems != ()


def killed(*in_flight: int) -> dict[str, Any]:
    pairs = frozenset(Pair("ep_1", f"vt_1:{sequence}") for sequence in in_flight)
    return {"kills": [Kill(0, "before settle", pairs)], "recoveries": [0.1]}


def test_a_repeat_of_what_was_in_flight_at_a_kill_is_explained() -> None:
    verdict = judge(record(receipt(1, 1), receipt(1, 2, life=1), *rest(), **killed(1)))
    assert (verdict.duplicates, verdict.duplicates_bound, verdict.problems) == (1, 1, ())


def test_a_repeat_of_something_else_than_what_was_in_flight_is_caught_within_the_bound() -> None:
    verdict = judge(record(receipt(1, 1), receipt(1, 2, life=1), *rest(), **killed(2, 3)))
    assert verdict.duplicates <= verdict.duplicates_bound
    assert any("needless" in problem for problem in verdict.problems)


def test_a_repeat_before_the_kill_is_caught() -> None:
    assert any("needless" in problem for problem in judge(record(receipt(1, 1), receipt(1, 2), **killed(1))).problems)


def test_a_repeat_of_an_answer_that_came_too_late_is_explained() -> None:
    late = Counter({(0, Pair("ep_1", "vt_1:1")): 1})
    verdict = judge(record(receipt(1, 1), receipt(1, 3), *rest(), gave_up=late))
    assert (verdict.duplicates, verdict.duplicates_bound, verdict.problems) == (1, 1, ())


def test_a_deadline_of_a_hanging_answer_explains_no_other_repeat() -> None:
    late = Counter({(0, Pair("ep_1", "vt_1:1")): 1})
    hung = receipt(1, 1, Answer.HUNG)
    assert any(
        "needless" in problem
        for problem in judge(record(hung, receipt(1, 3), receipt(1, 4), *rest(), gave_up=late)).problems
    )


def test_a_body_that_is_not_the_logs_is_caught() -> None:
    verdict = judge(record(receipt(1, 1, fingerprint="other"), *rest()))
    assert any("bodies" in problem for problem in verdict.problems)


def test_a_transition_that_is_logged_twice_is_caught() -> None:
    log = [*logged(), Logged("again", "vt_1", 3, "completed", "again")]
    assert any("repeated" in problem for problem in judge(record(receipt(1, 1), *rest(), log=log)).problems)


@pytest.mark.parametrize("recoveries", [[], [0.1, 2.0]])
def test_a_slow_recovery_and_one_never_seen_are_caught(recoveries: list[float]) -> None:
    verdict = judge(record(receipt(1, 1), *rest(), **(killed() | {"recoveries": recoveries})))
    assert any("recovery" in problem for problem in verdict.problems)


def test_a_bad_signature_and_any_other_trouble_are_caught() -> None:
    verdict = judge(record(receipt(1, 1), *rest(), forged=2, trouble=["not drained"]))
    assert verdict.problems == ("not drained", "2 deliveries with a bad signature")
