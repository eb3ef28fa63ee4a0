"""Who gets which span, and how often a frame counts."""

import math

import pytest
from made_spans import spans

from vidcolor.distributed.plan import Plan, Straggling, Tally
from vidcolor.errors import ConfigError, MediaError


def test_the_longest_of_what_is_known_comes_first():
    plan = Plan()
    short, long, middle, later = spans(10, 900, 50, 2000)
    for span in (short, long, middle):
        plan.add(span)
    assert plan.take("a", 0.0) == long
    plan.add(later)
    assert plan.take("b", 1.0) == later
    assert [plan.take(worker, 2.0) for worker in "cd"] == [middle, short]
    assert plan.take("e", 3.0) is None
    assert not plan.complete


def test_it_is_complete_when_all_are_known_and_finished():
    plan = Plan()
    (one,) = spans(10)
    plan.add(one)
    plan.take("a", 0.0)
    assert plan.finished("a", 1.0)
    assert not plan.complete
    plan.close()
    assert plan.complete
    with pytest.raises(ValueError, match="no more"):
        plan.add(one)


def test_a_worker_does_one_thing_at_a_time():
    plan = Plan()
    for span in spans(10, 20):
        plan.add(span)
    plan.take("a", 0.0)
    with pytest.raises(ValueError, match="key1"):
        plan.take("a", 1.0)


def test_what_a_lost_worker_was_at_is_given_to_another():
    plan = Plan()
    (one,) = spans(10)
    plan.add(one)
    plan.close()
    plan.take("a", 0.0)
    assert plan.lost("a") == one
    assert plan.take("b", 5.0) == one
    assert plan.finished("b", 9.0)
    assert plan.complete


def test_a_lost_worker_that_was_at_nothing_changes_nothing():
    plan = Plan()
    assert plan.lost("a") is None


def test_a_span_that_ends_three_workers_stops_it_all():
    plan = Plan()
    _, second = spans(100, 40)
    plan.add(second)
    for worker in "ab":
        plan.take(worker, 0.0)
        plan.lost(worker)
    plan.take("c", 0.0)
    with pytest.raises(MediaError, match=r"frames 100 to 139 \(shot 1, pts 100\).*3 times"):
        plan.lost("c")


def test_machines_that_go_away_are_not_the_fault_of_a_span():
    plan = Plan()
    plan.add(spans(40)[0])
    for worker in range(20):
        plan.take(worker, 0.0)
        plan.lost(worker, by_the_span=False)
    assert plan.take("last", 0.0) is not None


def _late():
    """Three of ten frames done in ten seconds each, a fourth still running."""
    plan = Plan(Straggling(factor=2.0, least_s=5.0))
    for span in spans(10, 10, 10, 10):
        plan.add(span)
    plan.close()
    for worker in "abcd":
        plan.take(worker, 0.0)
    for worker in "abc":
        plan.finished(worker, 10.0)
    return plan


def test_a_straggler_is_given_to_a_second_worker_and_no_third():
    plan = _late()
    assert plan.take("a", 20.0) is None  # twice the usual time is not longer than that
    assert plan.next_straggler_s() == 20.0
    again = plan.take("a", 20.1)
    assert again is not None
    assert again.key == "key3"
    assert plan.take("b", 1000.0) is None
    assert plan.next_straggler_s() == math.inf


def test_the_first_result_counts_and_the_other_does_not():
    plan = _late()
    plan.take("a", 20.1)
    assert plan.finished("a", 30.1)
    assert plan.others("key3") == ("d",)
    assert plan.complete
    assert not plan.finished("d", 31.0)
    assert plan.others("key3") == ()


def test_a_straggler_whose_second_worker_is_lost_goes_on_with_the_first():
    plan = _late()
    plan.take("a", 20.1)
    plan.lost("a")
    assert plan.waiting == 0
    assert plan.finished("d", 50.0)
    assert plan.complete


def test_nothing_straggles_while_spans_are_looked_for_or_wait():
    plan = Plan(Straggling(2.0, 0.0))
    for span in spans(10, 10):
        plan.add(span)
    plan.take("a", 0.0)
    plan.take("b", 0.0)
    plan.finished("a", 1.0)
    assert plan.take("a", 1000.0) is None


def test_a_second_start_has_to_be_worth_it():
    plan = Plan(Straggling(2.0, 5.0))
    for span in spans(10, 10):
        plan.add(span)
    plan.close()
    plan.take("a", 0.0)
    plan.take("b", 0.0)
    plan.finished("a", 1.0)
    assert plan.take("a", 4.9) is None
    assert plan.take("a", 5.1) is not None


@pytest.mark.parametrize("wrong", [{"factor": 0.9}, {"least_s": -1.0}, {"factor": math.nan}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        Straggling(**wrong)


def test_frames_count_once_whoever_makes_them():
    tally, (span,) = Tally(), spans(100)
    assert tally.reached(span, 60) == 60
    assert tally.reached(span, 20) == 0  # begun again by another one
    assert tally.reached(span, 70) == 10
    assert tally.reached(span, 1000) == 30  # never more than there are
    assert tally.finished(span) == 0


def test_a_finished_span_counts_whole_without_a_word_before():
    tally, (span,) = Tally(), spans(100)
    assert tally.reached(span, 1) == 1
    assert tally.finished(span) == 99
