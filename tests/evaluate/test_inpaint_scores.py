"""Numbers of filled pictures, by hand and by scikit-image; tables and files of them."""

import csv
import io
import json
import math

import numpy as np
import pytest
import skimage.metrics

from vidcolor.color.measure import BEST_PSNR, ssim_map
from vidcolor.errors import MediaError
from vidcolor.evaluate.inpaint.ledger import LEDGER, Ledger
from vidcolor.evaluate.inpaint.markup import to_latex, to_markdown, to_text
from vidcolor.evaluate.inpaint.report import InpaintReport, MethodNote, Row, Value, summary
from vidcolor.evaluate.inpaint.scores import MEASURES, measures_of, score

ALL = ("l1", "psnr", "ssim")


def noisy(seed, size=(24, 20), channels=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (*size, channels)).astype(np.uint8)


def corner(size=(24, 20)):
    """A hole of 4 x 3 cells, 12 of 480, at the border."""
    hole = np.zeros(size, np.bool_)
    hole[:4, :3] = True
    return hole


def test_l1_and_psnr_by_hand():
    truth = np.full((24, 20, 1), 100, np.uint8)
    raw = truth.copy()
    raw[corner()] = 151  # a fifth of the range
    raw[20, 10] = 49  # outside of the hole: only the raw answer has it
    found = score(truth, raw, corner(), ("l1", "psnr"))
    assert found["hole_l1"] == pytest.approx(20)
    assert found["l1"] == pytest.approx(20 * 12 / 480)
    assert found["raw_l1"] == pytest.approx(20 * 13 / 480)
    fifth = 10 * math.log10(25)  # 255 / 51 = 5
    assert found["hole_psnr"] == pytest.approx(fifth)
    assert found["psnr"] == pytest.approx(fifth + 10 * math.log10(480 / 12))
    assert found["raw_psnr"] == pytest.approx(fifth + 10 * math.log10(480 / 13))


def test_holes_count_alone_channels_alike():
    truth = np.zeros((24, 20, 3), np.uint8)
    raw = truth.copy()
    raw[corner(), 1] = 255  # one channel of three
    found = score(truth, raw, corner(), ("l1", "psnr"))
    assert found["hole_l1"] == pytest.approx(100 / 3)
    assert found["hole_psnr"] == pytest.approx(10 * math.log10(3))


def test_an_exact_filling_has_the_best_of_all():
    truth = noisy(1)
    found = score(truth, truth.copy(), corner(), ALL)
    assert found["hole_l1"] == found["l1"] == found["raw_l1"] == 0
    assert found["hole_psnr"] == found["psnr"] == found["raw_psnr"] == BEST_PSNR
    for name in ("hole_ssim", "ssim", "raw_ssim", "raw_hole_ssim"):
        assert found[name] == pytest.approx(1)


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_scikit_images_and_in_holes_the_mean_of_its_map(channels):
    truth, raw = noisy(2, channels=channels), noisy(3, channels=channels)
    raw[12:] = truth[12:]
    hole = corner()
    mixed = np.where(hole[..., None], raw, truth)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    found = score(truth, raw, hole, ("ssim",))
    for prefix, picture in (("", mixed), ("raw_", raw)):
        whole, near = skimage.metrics.structural_similarity(
            truth, picture, channel_axis=2, data_range=255, full=True, **settings
        )
        assert found[f"{prefix}ssim"] == pytest.approx(whole, abs=1e-9)
        assert found[f"{prefix}hole_ssim"] == pytest.approx(near[hole].mean(), abs=1e-9)
        assert np.allclose(ssim_map(picture, truth), near, atol=1e-9)


def test_lpips_is_asked_for_composite_and_raw_answer_in_color():
    truth, raw = noisy(4), noisy(5)
    seen = []

    def distance(pred, target):
        seen.append((pred.shape, np.array_equal(target[..., 1], truth[..., 0])))
        return float(np.mean(pred != target))

    found = score(truth, raw, corner(), ("lpips",), distance)
    differ = float(np.mean(raw != truth))
    assert seen == [((24, 20, 3), True)] * 2
    assert found["lpips"] == pytest.approx(np.sum((raw != truth)[corner()]) / 480)
    assert found["raw_lpips"] == pytest.approx(differ)


def test_means_and_standard_errors_by_hand():
    found = summary([1.0, 2.0, 6.0])
    assert found.mean == 3
    assert found.error == pytest.approx(math.sqrt((4 + 1 + 9) / 2) / math.sqrt(3))
    assert summary([4.0]) == Value(4.0, None)


def test_every_measure_of_a_score_is_known():
    known = {one.name for one in MEASURES}
    found = score(noisy(1), noisy(2), corner(), (*ALL, "lpips"), lambda pred, target: 0.0)
    assert set(found) == known
    assert [one.name for one in measures_of(["psnr"])] == ["hole_psnr", "psnr", "raw_psnr"]


def report(**rows):
    methods = (MethodNote("telea", False), MethodNote("a_net", True))
    found = [
        Row(name, 2, 0.05, {
            method.name: {
                "psnr": Value(mean, 0.25), "hole_psnr": Value(mean - 10, None),
                "raw_psnr": Value(mean - 1, 0.25), "seconds": Value(0.5, 0.1),
            }
            for method, mean in zip(methods, means, strict=True)
        })
        for name, means in rows.items()
    ]  # fmt: skip
    return InpaintReport(
        "", ("set.tar",), "as it was", {"seed": 0}, methods, measures_of(["psnr"]), tuple(found)
    )


def test_tables_have_rows_of_holes_and_columns_of_methods():
    found = report(film=(30.0, 32.5))
    text = to_text(found).splitlines()
    assert text[0] == "set.tar; as it was"
    assert text[2] == "PSNR in holes, dB (higher is better)"
    assert text[3].split() == ["holes", "n", "telea", "a_net"]
    assert text[4].split() == ["film", "2", "20.00", "22.50"]
    start = text.index("PSNR of the composite, dB (higher is better)")
    assert text[start + 2].split() == ["film", "2", "30.00", "±0.25", "32.50", "±0.25"]
    start = text.index("PSNR of the raw answer, dB (higher is better)")
    assert text[start + 1].split() == ["holes", "n", "a_net"]  # others leave the rest as it is


def test_the_best_is_bold_where_it_is_alone_in_what_is_printed():
    markdown = to_markdown(report(film=(30.0, 32.5), wide=(20.001, 20.0)))
    assert "| film | 2 | 30.00 ± 0.25 | **32.50** ± 0.25 |" in markdown
    assert "| wide | 2 | **20.00** ± 0.25 | **20.00** ± 0.25 |" in markdown
    latex = to_latex(report(film=(30.0, 32.5)))
    assert r"film & 2 & 30.00 $\pm$ 0.25 & \textbf{32.50} $\pm$ 0.25 \\" in latex
    assert r"a\_net" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 4


def test_files_hold_every_mean():
    found = report(film=(30.0, 32.5))
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert len(rows) == 8
    (one,) = [r for r in rows if r["method"] == "a_net" and r["measure"] == "psnr"]
    assert one == {"class": "film", "method": "a_net", "measure": "psnr", "unit": "dB",
                   "count": "2", "mean": "32.5", "standard_error": "0.25"}  # fmt: skip
    data = json.loads(found.to_json())
    assert data["rows"][0]["methods"]["telea"]["psnr"] == {"mean": 30.0, "error": 0.25}
    assert data["of"] == "inpaint"


def test_scores_are_found_again_and_a_cut_line_is_dropped(tmp_path):
    folder = tmp_path / "out"
    with Ledger(folder) as ledger:
        ledger.add("p", "telea", {"psnr": 30.0})
        ledger.add("q", "telea", {"psnr": 31.0})
    path = folder / LEDGER
    path.write_bytes(path.read_bytes()[:-9])
    with Ledger(folder) as ledger:
        assert ledger.count == 1
        assert ledger.get("p", "telea") == {"psnr": 30.0}
        assert ledger.get("q", "telea") is None
        ledger.add("q", "telea", {"psnr": 31.0})
    assert Ledger(folder).get("q", "telea") == {"psnr": 31.0}
    assert Ledger(folder, overwrite=True).count == 0


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(MediaError, match=r"holds files, and no scores.jsonl"):
        Ledger(tmp_path)
    (tmp_path / LEDGER).write_text('{"pair": 1}\n')
    with pytest.raises(MediaError, match=r"scores.jsonl, line 1: is no score"):
        Ledger(tmp_path)
    with pytest.raises(MediaError, match="cannot be used"):
        Ledger(tmp_path / "no" / "where")
