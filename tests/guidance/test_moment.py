from fractions import Fraction

import pytest

from vidcolor.errors import ConfigError, GuidanceError
from vidcolor.guidance.moment import FrameTimes, Moment, parse_time

# a film of variable rate in milliseconds: frames begin at 0, 40, 80, 200 and 240 ms
TIMES = FrameTimes((1000, 1040, 1080, 1200, 1240), Fraction(1, 1000))


@pytest.mark.parametrize(
    ("moment", "pts"),
    [
        (Moment(frame=0), 1000),
        (Moment(frame=4), 1240),
        (Moment(pts=1080), 1080),
        (Moment(time=0), 1000),
        (Moment(time="0.1"), 1080),  # 80 to 200 ms: the third frame
        (Moment(time=0.2), 1200),
        (Moment(time="0:00:00.239"), 1200),
        (Moment(time="0.27"), 1240),  # the last frame lasts as long as the one before
    ],
)
def test_each_way_finds_its_frame(moment, pts):
    assert moment.resolve(TIMES) == pts


def test_a_time_rounded_to_milliseconds_finds_its_frame():
    times = FrameTimes.even(200, Fraction(24000, 1001), Fraction(1, 24000))
    for frame in range(200):
        assert Moment(time=f"{float(times.seconds(frame)):.3f}").number(times) == frame


def test_even_times_follow_the_rate():
    times = FrameTimes.even(4, Fraction(25), Fraction(1, 1000), start=7)
    assert times.pts == (7, 47, 87, 127)
    assert times.seconds(3) == Fraction(3, 25)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3.2", Fraction(16, 5)),
        (3, Fraction(3)),
        (0.1, Fraction(1, 10)),
        ("2:03.4", Fraction(617, 5)),
        ("1:02:03.4", Fraction(3723) + Fraction(2, 5)),
        ("90", Fraction(90)),
    ],
)
def test_times_are_read_exactly(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "1:60", "-1", "1:-2", "1/2", "1:2:3:4", "1.5:00", "_1"]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ConfigError, match="time"):
        Moment(time=text)


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (Moment(frame=5), "frame 5 lies behind the end; the film has frames 0 to 4"),
        (Moment(time="0.281"), "outside the film; its last frame begins at 0.240 s"),
        (Moment(pts=1100), "no frame has pts 1100; the nearest one has 1080"),
    ],
)
def test_outside_the_film_is_an_error_with_its_place(moment, words):
    with pytest.raises(GuidanceError, match=words) as error:
        moment.resolve(TIMES, "hints.json: hints[2]")
    assert str(error.value).startswith("hints.json: hints[2]: ")


@pytest.mark.parametrize("given", [{}, {"frame": 1, "pts": 2}, {"frame": -1}])
def test_exactly_one_way_is_wanted(given):
    with pytest.raises(ConfigError, match="frame"):
        Moment(**given)


def test_times_must_rise():
    with pytest.raises(ValueError, match="rise"):
        FrameTimes((0, 2, 2), Fraction(1))


# frames 2 and 3, and frame 8, of a film of ten that begins at 1000
SOME = FrameTimes((1080, 1200, 1700), Fraction(1, 1000), (2, 3, 8), begin=1000, count=10)


@pytest.mark.parametrize(
    ("moment", "pts"),
    [
        (Moment(frame=2), 1080),
        (Moment(frame=8), 1700),
        (Moment(pts=1200), 1200),
        (Moment(time=0.08), 1080),  # counted from the film's first frame, not the first known
        (Moment(time="0.3"), 1200),
        (Moment(time="0:00:00.7"), 1700),
    ],
)
def test_of_a_film_known_in_part_what_is_known_is_found(moment, pts):
    assert moment.resolve(SOME) == pts


def test_of_a_film_known_in_part_numbers_are_those_of_the_film():
    assert len(SOME) == 10
    assert (SOME.number(1700), SOME.number(1701), SOME.at(Fraction(0))) == (8, None, None)
    assert SOME.seconds(3) == Fraction(1, 5)
    with pytest.raises(GuidanceError, match="film has frames 0 to 9"):
        Moment(frame=10).resolve(SOME)
    with pytest.raises(ValueError, match="frame 5 is not known"):
        SOME.of(5)


@pytest.mark.parametrize("numbers", [(1,), (3, 2)])
def test_numbers_fit_their_times(numbers):
    with pytest.raises(ValueError, match="numbers"):
        FrameTimes((10, 20), Fraction(1, 25), numbers)
