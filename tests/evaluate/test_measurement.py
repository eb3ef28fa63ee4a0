"""Numbers of frames whose numbers are known."""

import itertools

import numpy as np
import pytest
import skimage.color
import skimage.metrics
from made_color import BLUE, RED, SIZE, flat, measured, texture, tint
from scipy.spatial.distance import jensenshannon

from vidcolor.evaluate.frame import Box


def ab(color) -> np.ndarray:
    return skimage.color.rgb2lab(np.uint8([[color]]))[0, 0, 1:]


DISTANCE = float(np.linalg.norm(ab(RED) - ab(BLUE)))


def slow_cdc(shots) -> float:
    """Mean over distances of the mean over pairs inside shots and channels, by scipy."""

    def histogram(frame, channel):
        return np.histogram(frame[..., channel], 256, (0, 256))[0]

    means = []
    for step in (1, 2, 4):
        values = [
            np.mean(
                [jensenshannon(histogram(a, c), histogram(b, c)) ** 2 for c in range(a.shape[2])]
            )
            for frames in shots
            for a, b in zip(frames, frames[step:], strict=False)
        ]
        if values:
            means.append(np.mean(values))
    return float(np.mean(means))


def test_one_color_is_perfectly_steady_and_as_colorful_as_it_is():
    film = measured({"result": [flat(RED)] * 60}).film("result")
    color = film.color
    assert (color.instability, color.popping, color.cdc, color.warping_error) == (0, 0, 0, 0)
    assert color.drift == 0
    assert color.flicker == pytest.approx((0, 0, 0), abs=1e-9)
    assert color.chroma == pytest.approx(np.linalg.norm(ab(RED)), abs=1e-3)
    red, green, blue = RED
    by_hand = 0.3 * np.hypot(red - green, (red + green) / 2 - blue)
    assert color.colorfulness == pytest.approx(by_hand)
    assert film.coverage == 1
    assert film.frames == 60


def test_color_that_alternates_is_as_unsteady_as_it_is_far():
    film = measured({"result": [flat(RED), flat(BLUE)] * 5}).film("result")
    assert film.color.instability == pytest.approx(DISTANCE, abs=1e-3)
    assert film.color.instability_p95 == pytest.approx(DISTANCE, abs=1e-3)
    assert film.color.popping == pytest.approx(DISTANCE, abs=1e-3)
    difference = (np.array(RED) - BLUE) / 255
    assert film.color.warping_error == pytest.approx(np.mean(difference**2), rel=1e-5)
    # two of three channels differ, at one of three distances
    assert film.color.cdc == pytest.approx(np.log(2) * 2 / 3 / 3)
    assert film.cdc_gray == 0
    assert film.cdc_ratio is None


def test_color_that_is_known_before_it_was_laid_is_measured_too():
    from vidcolor.evaluate.motion import Picture, Step, Trail

    trail, gray = Trail(), texture()
    for value in (1.0, 4.0):
        planes = np.full((12, 16, 2), value, np.float32)
        picture = Picture.of(flat(RED), SIZE, planes)
        change = trail.push(picture, Step.between(gray, gray, "fast"))
    assert change.here.planes.shape == (*SIZE, 2)
    assert np.all(change.planes - change.here.planes == 3)
    assert np.all(change.ab == change.here.ab)


def test_a_step_counts_once_and_pops_by_half():
    frames = [flat(RED)] * 5 + [flat(BLUE)] * 5
    found = measured({"result": frames})
    color = found.film("result").color
    assert color.instability == pytest.approx(DISTANCE / 9, abs=1e-3)
    # the frames on both sides are half the distance off the mean of their neighbors
    assert color.popping == pytest.approx(2 * DISTANCE / 2 / 8, abs=1e-3)
    (moment,) = found.worst()
    assert (moment.frame, moment.kind) == (5, "step")
    assert moment.jump == pytest.approx(DISTANCE, abs=1e-3)
    assert len(moment.pictures) == 3
    assert moment.pictures[0][0, 0].tolist() == list(RED)
    assert moment.pictures[1][0, 0].tolist() == list(BLUE)


def test_a_flash_comes_back():
    frames = [flat(RED)] * 5 + [flat(BLUE)] + [flat(RED)] * 5
    (moment,) = measured({"result": frames}).worst()
    assert (moment.frame, moment.kind) == (5, "flash")


def test_color_that_moves_with_the_picture_is_steady():
    grays = [texture(2 * i) for i in range(6)]
    moving = [tint(gray, RED) for gray in grays]
    half = np.arange(SIZE[1]) < 32  # stands still while the picture moves on
    standing = [np.where(half[None, :, None], tint(g, RED), tint(g, BLUE)) for g in grays]
    found = measured({"moving": moving, "standing": standing}, grays)
    moving_color, standing_color = (found.film(n).color for n in ("moving", "standing"))
    assert found.film("moving").coverage > 0.5
    assert moving_color.instability < 1
    assert standing_color.instability > 2 * moving_color.instability
    # two columns of 64 change between frames
    assert standing_color.instability == pytest.approx(DISTANCE * 2 / 64, rel=0.7)


def test_nothing_is_compared_across_a_cut():
    frames = [flat(RED)] * 6 + [flat(BLUE)] * 6
    grays = [texture()] * 6 + [texture(seed=1)] * 6
    found = measured({"result": frames}, grays, shots=[0] * 6 + [1] * 6)
    color = found.film("result").color
    assert (color.instability, color.popping, color.cdc) == (0, 0, 0)
    assert found.worst() == ()
    first, second = found.shots("result")
    assert (first.start, first.end, second.start, second.end) == (0, 5, 6, 11)
    assert second.measures.color.chroma == pytest.approx(np.linalg.norm(ab(BLUE)), abs=1e-3)
    values = found.curves().values["instability"]
    assert np.isnan(values[0])
    assert np.isnan(values[6])
    assert np.isfinite(values[7])


def test_cdc_of_a_film_is_the_mean_over_pairs_inside_shots():
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 40 + 20 * i, (*SIZE, 3)).astype(np.uint8) for i in range(9)]
    grays = [rng.integers(0, 200, SIZE).astype(np.uint8) for _ in range(9)]
    found = measured({"result": frames}, grays, shots=[0] * 6 + [1] * 3)
    film = found.film("result")
    assert film.color.cdc == pytest.approx(slow_cdc([frames[:6], frames[6:]]))
    as_pictures = [gray[..., None] for gray in grays]
    assert film.cdc_gray == pytest.approx(slow_cdc([as_pictures[:6], as_pictures[6:]]))
    assert film.cdc_ratio == pytest.approx(film.color.cdc / film.cdc_gray)
    assert found.shots("result")[1].measures.color.cdc == pytest.approx(slow_cdc([frames[6:]]))


def test_fidelity_agrees_with_scikit_image():
    rng = np.random.default_rng(1)
    truth = [tint(texture(seed=i), RED) for i in range(3)]
    noisy = [np.clip(f + rng.normal(0, 12, f.shape), 0, 255).astype(np.uint8) for f in truth]
    found = measured({"result": noisy, "truth": truth}, truth="truth")
    film = found.film("result")
    pairs = list(zip(truth, noisy, strict=True))
    of = skimage.metrics
    assert film.fidelity.psnr == pytest.approx(
        np.mean([of.peak_signal_noise_ratio(a, b) for a, b in pairs])
    )
    assert film.fidelity.ssim == pytest.approx(
        np.mean(
            [
                of.structural_similarity(
                    a, b, channel_axis=2, gaussian_weights=True, sigma=1.5,
                    use_sample_covariance=False,
                )
                for a, b in pairs
            ]
        ),
        abs=1e-6,
    )  # fmt: skip
    lab = skimage.color.rgb2lab
    expected = np.mean([skimage.color.deltaE_ciede2000(lab(a), lab(b)).mean() for a, b in pairs])
    assert film.fidelity.delta_e == pytest.approx(expected, abs=2e-3)
    true_chroma = np.mean([np.linalg.norm(lab(a)[..., 1:], axis=2).mean() for a in truth])
    assert film.truth.chroma == pytest.approx(true_chroma, abs=1e-2)
    assert film.chroma_fraction == pytest.approx(film.color.chroma / film.truth.chroma)
    assert film.cdc_excess == pytest.approx(film.color.cdc - film.truth.cdc)
    assert film.fidelity.lpips is None
    assert list(found.curves().values["psnr"]) == pytest.approx(
        [of.peak_signal_noise_ratio(a, b) for a, b in pairs]
    )


def test_expensive_measures_are_taken_now_and_then_or_not_at_all():
    truth = [flat(RED), flat(BLUE), flat(RED), flat(BLUE)]
    result = [flat(RED)] * 4
    often = measured({"result": result, "truth": truth}, truth="truth").film("result")
    rarely = measured({"result": result, "truth": truth}, truth="truth", every=2).film("result")
    never = measured({"result": result, "truth": truth}, truth="truth", every=0).film("result")
    assert often.fidelity.delta_e > 10
    assert rarely.fidelity.delta_e == 0  # frames 0 and 2 are right
    assert never.fidelity.delta_e is None
    assert never.fidelity.psnr == often.fidelity.psnr


def _boxed(color, box=(16, 12, 32, 36)) -> np.ndarray:
    frame = flat(RED)
    x0, y0, x1, y1 = box
    frame[y0:y1, x0:x1] = color
    return frame


def test_a_track_is_measured_inside_its_boxes():
    box = Box(7, "person", (16.0, 12.0, 32.0, 36.0))
    still = Box(8, "dog", (40.0, 0.0, 60.0, 20.0))
    frames = [_boxed(RED if i % 2 else BLUE) for i in range(8)]
    found = measured({"result": frames}, boxes=[(box, still)] * 8)
    flickering, steady = found.tracks("result")
    assert (flickering.id, flickering.label, flickering.start, flickering.end) == (
        7,
        "person",
        0,
        7,
    )
    assert flickering.measures.color.instability == pytest.approx(DISTANCE, abs=1e-3)
    assert steady.measures.color.instability == 0
    share = 16 * 24 / (SIZE[0] * SIZE[1])
    assert found.film("result").color.instability == pytest.approx(DISTANCE * share, abs=1e-3)
    inside = [frame[12:36, 16:32] for frame in frames]
    assert flickering.measures.color.cdc == pytest.approx(slow_cdc([inside]))
    worst = found.worst()[0]
    assert worst.track == 7
    x0, y0, x1, y1 = worst.box
    assert 16 <= x0 < x1 <= 33
    assert 12 <= y0 < y1 <= 37
    assert flickering.measures.color.flicker is None


def test_a_track_that_was_away_is_not_compared_with_what_it_was():
    box = Box(1, "object", (16.0, 12.0, 32.0, 36.0))
    frames = [_boxed(RED)] * 3 + [flat(RED)] * 2 + [_boxed(BLUE)] * 3
    boxes = [(box,)] * 3 + [()] * 2 + [(box,)] * 3
    (track,) = measured({"result": frames}, boxes=boxes).tracks("result")
    assert track.measures.frames == 6
    assert track.measures.color.instability == 0
    assert track.measures.color.cdc == 0


def test_the_truth_is_not_flicker():
    frames = [flat(RED)] * 5 + [flat(BLUE)] * 5
    both = measured({"result": frames, "truth": frames}, truth="truth")
    assert both.worst() == ()
    assert both.film("result").truth.instability == both.film("result").color.instability
    extra = [*frames]
    extra[2] = _boxed(BLUE)
    (moment,) = measured({"result": extra, "truth": frames}, truth="truth", apart=0.05).worst()[:1]
    assert moment.frame == 2
    assert moment.true_jump == 0


def test_worst_moments_are_few_and_apart():
    colors = itertools.cycle([RED, BLUE, (120, 120, 120), (60, 160, 60)])
    frames = [flat(next(colors)) for _ in range(50)]
    found = measured({"result": frames}, worst=3, apart=0.4).worst()
    assert len(found) == 3
    times = sorted(moment.time for moment in found)
    assert min(np.diff(times)) >= 0.4
    assert [m.excess for m in found] == sorted((m.excess for m in found), reverse=True)
    assert measured({"result": frames}, worst=0).worst() == ()


def test_rounding_is_no_moment_of_flicker():
    frames = [flat((120, 120, 120)), flat((121, 121, 121))] * 6
    found = measured({"result": frames})
    assert found.worst() == ()


def test_a_single_frame_has_color_but_no_steadiness():
    found = measured({"result": [flat(RED)]})
    assert found.film("result").color.instability is None
    assert found.film("result").color.cdc is None
