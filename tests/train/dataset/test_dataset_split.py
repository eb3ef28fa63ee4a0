import logging

from vidcolor.train.dataset.split import Alike, validation_groups


def test_joined_groups_have_one_root() -> None:
    alike = Alike()
    for one, other in (("c", "d"), ("a", "b"), ("d", "b"), ("x", "y")):
        alike.join(one, other)
    assert {alike.root(g) for g in "abcd"} == {"a"}
    assert {alike.root(g) for g in "xy"} == {"x"}
    assert alike.root("alone") == "alone"


def test_the_share_is_met_on_many_groups_and_all_of_a_group_goes_with_it() -> None:
    groups = [f"film\0{shot}" for shot in range(2000) for _ in range(3)]
    aside = validation_groups(groups, Alike(), 0.1)
    assert 150 <= len(aside) <= 250
    assert aside <= set(groups)


def test_the_side_of_a_group_does_not_depend_on_the_others() -> None:
    some = [f"film\0{shot}" for shot in range(100)]
    more = [*(f"another\0{shot}" for shot in range(300)), *some]
    first, second = (validation_groups(groups, Alike(), 0.2) for groups in (some, more))
    assert first == second & set(some)
    assert 5 <= len(first) <= 35


def test_groups_that_look_alike_stay_together() -> None:
    groups = [f"film\0{shot}" for shot in range(300)]
    alike = Alike()
    for shot in range(0, 299, 2):
        alike.join(groups[shot], groups[shot + 1])
    aside = validation_groups(groups, alike, 0.3)
    assert aside
    for shot in range(0, 299, 2):
        assert (groups[shot] in aside) == (groups[shot + 1] in aside)


def test_neither_side_stays_empty_nor_does_validation_take_most() -> None:
    for number in range(40):
        two = [f"{number}\0{shot}" for shot in range(2)]
        assert len(validation_groups(two, Alike(), 0.1)) == 1
        assert len(validation_groups(two, Alike(), 0.9)) == 1
        uneven = [f"{number}\0a"] * 50 + [f"{number}\0b"] * 3
        assert validation_groups(uneven, Alike(), 0.1) == {f"{number}\0b"}


def test_nothing_is_set_aside_of_one_shot_or_when_nothing_is_wanted(caplog) -> None:
    with caplog.at_level(logging.WARNING):
        assert validation_groups(["a"] * 9, Alike(), 0.5) == set()
    assert "no validation set" in caplog.text
    assert validation_groups(["a", "b"], Alike(), 0.0) == set()
