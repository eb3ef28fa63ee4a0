"""Rows become tables: exact text, who is best, what is in the JSON."""

import json

import pytest

from vidcolor.evaluate.sets.cost import Cost
from vidcolor.evaluate.sets.markup import to_latex, to_markdown, to_text
from vidcolor.evaluate.sets.report import LevelReport, Row, SetReport, columns_of

COST = Cost(0.1234, 7_600_000, 38.6, (256, 320), (64, 80))


def report(rows=None, metrics=("psnr", "lpips", "colorfulness"), **changes):
    rows = rows or (
        Row("uncolored", "baseline", {"psnr": 22.5, "lpips": 0.2, "colorfulness": 0.0}),
        Row("ours_1", "colorizer", {"psnr": 24.094, "lpips": 0.12344, "colorfulness": 20.0}),
        Row("theirs", "colorizer", {"psnr": 24.091, "lpips": 0.1235, "colorfulness": 60.0}),
        Row("truth", "truth", {"psnr": None, "lpips": None, "colorfulness": 41.0}),
    )
    settings = {
        "of": "pictures", "title": "Set, 256x256", "data": ("a.tar", "b"), "how": "colored by hand",
        "protocol": {"size": 256}, "left_out": {"gray": 3, "without boxes": 0}, "notes": ("note",),
        "columns": columns_of(metrics), "levels": (LevelReport("picture", 2, rows),),
        "single": {"names": ["1", "2"]},
    } | changes  # fmt: skip
    return SetReport(**settings)


def test_text():
    assert to_text(report()) == (
        "Set, 256x256\n"
        "a.tar, b; colored by hand; 3 left out (gray)\n"
        "\n"
        "2 pictures\n"
        "            PSNR   gain   LPIPS     CF\n"
        "uncolored  22.50         0.2000   0.00\n"
        "ours_1     24.09  +1.59  0.1234  20.00\n"
        "theirs     24.09  +1.59  0.1235  60.00\n"
        "truth                            41.00\n"
        "\n"
        "note\n"
    )


def test_markdown():
    assert to_markdown(report()) == (
        "**Set, 256x256**\n"
        "\n"
        "a.tar, b; colored by hand; 3 left out (gray)\n"
        "\n"
        "2 pictures:\n"
        "\n"
        "|  | PSNR, dB ↑ | over uncolored | LPIPS (AlexNet 0.1) ↓ | colorfulness → |\n"
        "|---|---|---|---|---|\n"
        "| uncolored | 22.50 |  | 0.2000 | 0.00 |\n"
        "| ours_1 | **24.09** | +1.59 | **0.1234** | 20.00 |\n"
        "| theirs | **24.09** | +1.59 | 0.1235 | **60.00** |\n"
        "| truth |  |  |  | 41.00 |\n"
        "\n"
        "note\n"
    )


def test_latex():
    assert to_latex(report()) == (
        "% Set, 256x256\n"
        "% a.tar, b; colored by hand; 3 left out (gray)\n"
        "% note\n"
        "% 2 pictures\n"
        "\\begin{tabular}{lrrr}\n"
        "\\toprule\n"
        " & PSNR, dB $\\uparrow$ & LPIPS (AlexNet 0.1) $\\downarrow$ & "
        "colorfulness $\\rightarrow$ \\\\\n"
        "\\midrule\n"
        "uncolored & 22.50 & 0.2000 & 0.00 \\\\\n"
        "\\midrule\n"
        "ours\\_1 & \\textbf{24.09} & \\textbf{0.1234} & 20.00 \\\\\n"
        "theirs & \\textbf{24.09} & 0.1235 & \\textbf{60.00} \\\\\n"
        "\\midrule\n"
        "truth &  &  & 41.00 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_costs_are_columns_of_those_that_have_them():
    rows = (
        Row("uncolored", "baseline", {"psnr": 22.5}),
        Row("ours", "colorizer", {"psnr": 24.0}, COST),
    )
    text = to_text(report(rows, ("psnr",), title="", notes=(), left_out={}))
    assert text.splitlines()[3:] == [
        "            PSNR   gain     sees  gives  M par.  MB  s (noisy)",
        "uncolored  22.50",
        "ours       24.00  +1.50  256x320  64x80     7.6  39      0.123",
    ]
    # nobody measured memory: no column
    rows = (rows[0], Row("ours", "colorizer", {"psnr": 24.0}, Cost(0.1, 10**6, None, None, None)))
    (head, *_) = to_text(report(rows, ("psnr",), title="")).splitlines()[3:]
    assert head.split() == ["PSNR", "gain", "M", "par.", "s", "(noisy)"]


@pytest.mark.parametrize(
    ("metric", "values", "true", "best"),
    [
        ("psnr", (30.0, 31.0), None, {"b"}),
        ("lpips", (0.2, 0.1), None, {"b"}),
        ("colorfulness", (30.0, 51.0), 41.0, {"b"}),
        ("colorfulness", (30.0, 53.0), 41.0, {"a"}),
        ("colorfulness", (30.0, 31.0), None, set()),
        ("cdc", (0.0031, 0.0040), 0.0038, {"b"}),
        ("psnr", (30.001, 30.002), None, {"a", "b"}),
        ("psnr", (30.0, None), None, set()),
    ],
)
def test_the_best_is_told_by_what_is_printed(metric, values, true, best):
    rows = [Row(name, "colorizer", {metric: v}) for name, v in zip("ab", values, strict=True)]
    rows.append(Row("truth", "truth", {metric: true}))
    rows.append(Row("uncolored", "baseline", {metric: 1e9}))
    (column,) = columns_of((metric,))
    assert LevelReport("picture", 1, tuple(rows)).best(column) == best


def test_steadiness_is_scaled_when_printed_and_not_in_json():
    rows = (Row("a", "colorizer", {"cdc": 0.00371234, "warping_error": float("nan")}),)
    found = report(rows, ("cdc", "warping_error"), of="videos")
    assert to_text(found).splitlines()[5].split() == ["a", "3.712"]
    data = json.loads(found.to_json())
    assert data["levels"][0]["rows"][0]["scores"] == {"cdc": 0.00371234, "warping_error": None}
    assert data["metrics"]["cdc"] == {
        "title": "CDC", "unit": "1e-3", "better": "truth", "decimals": 3, "scale": 1000.0,
    }  # fmt: skip


def test_json_holds_everything():
    rows = (Row("a", "colorizer", {"psnr": 24.0}, COST),)
    data = json.loads(report(rows, ("psnr",)).to_json())
    assert list(data) == [
        "of", "title", "data", "how", "left_out", "notes", "metrics", "levels", "single",
        "protocol",
    ]  # fmt: skip
    assert data["levels"] == [
        {
            "level": "picture",
            "count": 2,
            "rows": [
                {
                    "name": "a",
                    "kind": "colorizer",
                    "scores": {"psnr": 24.0},
                    "cost": {
                        "seconds": 0.1234, "parameters": 7_600_000, "memory_mb": 38.6,
                        "sees": [256, 320], "gives": [64, 80],
                    },
                }
            ],
        }
    ]  # fmt: skip
    assert data["single"] == {"names": ["1", "2"]}
    assert data["protocol"] == {"size": 256}
    assert data["left_out"] == {"gray": 3, "without boxes": 0}
