"""`vidcolor restore` and `colorize --restore`, on damaged films and pictures made here."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from media import make_video, read_packets

from vidcolor import cli

SIZE = (96, 128)
COUNT = 12
SPECKS = {4: (30, 40), 7: (60, 90)}  # frame: top, left of a speck of 5x6


def texture(number: int) -> np.ndarray:
    """A smooth scene that moves by a pixel a frame, 40 to 200."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    x = columns + number
    wave = np.sin(x / 9) * np.cos(rows / 11) + 0.6 * np.sin((x + 2 * rows) / 23)
    return np.rint(120 + 48 * wave).astype(np.uint16)


def damaged(number: int) -> np.ndarray:
    codes = texture(number)
    if number in SPECKS:
        top, left = SPECKS[number]
        codes[top : top + 5, left : left + 6] = 235
    return codes


def write(path: Path, pix_fmt: str = "gray", shift: int = 0, make=damaged) -> Path:
    """A lossless film of the frames, with chroma ramps where the format has chroma."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], pix_fmt
        for number in range(COUNT):
            frame = av.VideoFrame(SIZE[1], SIZE[0], pix_fmt)
            planes = [make(number) << shift]
            for plane in list(frame.planes)[1:]:
                ramp = np.linspace(100, 150, plane.width) * (1 << shift)
                planes.append(np.tile(ramp, (plane.height, 1)).astype(np.uint16))
            for plane, values in zip(frame.planes, planes, strict=True):
                kind = np.uint8 if shift == 0 else np.uint16
                rows = np.frombuffer(plane, kind).reshape(plane.height, -1)
                rows[:, : plane.width] = values
            frame.pts, frame.time_base = number, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def planes_of(path: Path) -> list[list[np.ndarray]]:
    found = []
    with av.open(str(path)) as film:
        for frame in film.decode(film.streams.video[0]):
            deep = frame.format.components[0].bits > 8
            planes = []
            for plane in frame.planes:
                kind = np.uint16 if deep else np.uint8
                rows = np.frombuffer(bytes(plane), kind).reshape(plane.height, -1)
                planes.append(rows[:, : plane.width].copy())
            found.append(planes)
    return found


def kinds(path: Path) -> list[str]:
    with av.open(str(path)) as film:
        return [stream.type for stream in film.streams]


def digest(plane: np.ndarray, hole: np.ndarray) -> str:
    return hashlib.sha256(np.where(hole, 0, plane).tobytes()).hexdigest()


@pytest.fixture
def run(capsys):
    def run(*words):
        code = cli.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.mark.parametrize(
    ("pix_fmt", "shift"), [("gray", 0), ("yuv420p", 0), ("yuv422p10le", 2), ("gray16le", 8)]
)
def test_outside_the_masks_every_code_is_the_sources(run, tmp_path, pix_fmt, shift):
    source = write(tmp_path / "film.mkv", pix_fmt, shift)
    output, masks = tmp_path / "out.mkv", tmp_path / "masks"
    code, out, err = run("restore", source, output, "--masks-out", masks, "--quiet")
    assert (code, err) == (0, "")
    assert "2 of 12 frames touched" in out
    before, after = planes_of(source), planes_of(output)
    assert len(after) == COUNT
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        path = masks / f"{number:06}.png"
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.exists() else None
        hole = np.zeros(SIZE, bool) if mask is None else mask >= 128
        assert digest(new[0], hole) == digest(old[0], hole)
        assert hole.any() == (number in SPECKS)
        for a, b in zip(old[1:], new[1:], strict=True):
            assert np.array_equal(a, b)
        # and inside, the scene is back
        truth = texture(number).astype(float)
        assert np.abs((new[0] >> shift) - truth)[hole].max(initial=0) <= 12
        if hole.any():
            top, left = SPECKS[number]
            assert hole[top : top + 5, left : left + 6].all()
            assert hole.sum() < 4 * 30


def test_everything_else_of_a_film_comes_along(run, tmp_path):
    film = make_video(
        tmp_path / "film.mkv", frames=8, size=SIZE, pts=(0, 1, 2, 4, 6, 7, 10, 11), sound=("aac",),
        subtitles="subrip", attachment=True,
    )  # fmt: skip
    out = tmp_path / "out.mkv"
    assert run("restore", film.path, out, "--quiet")[0] == 0
    before, after = read_packets(film.path), read_packets(out)
    assert kinds(out) == kinds(film.path) == ["video", "audio", "subtitle", "attachment"]
    assert {n: packets for n, packets in after.items() if n} == {
        n: packets for n, packets in before.items() if n
    }
    assert len(after) == 2  # sound and titles
    with av.open(str(out)) as made:
        times = [frame.time for frame in made.decode(made.streams.video[0])]
    assert times == pytest.approx([float(one) for one in film.times], abs=6e-4)


def test_a_persons_masks_are_exact_and_protection_wins(run, tmp_path):
    source = write(tmp_path / "film.mkv")
    mask, keep = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    mask[20:26, 50:60] = 255
    keep[20:26, 56:60] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    cv2.imwrite(str(tmp_path / "keep.png"), keep)
    code, out, _ = run(
        "restore", source, tmp_path / "out.mkv", "--masks", tmp_path / "mask.png",
        "--protect", tmp_path / "keep.png", "--quiet",
    )  # fmt: skip
    assert code == 0
    assert "12 of 12 frames touched" in out
    for old, new in zip(planes_of(source), planes_of(tmp_path / "out.mkv"), strict=True):
        changed = old[0] != new[0]
        assert not changed[(mask == 0) | (keep > 0)].any()


def test_spots_are_written_rejected_and_left_alone(run, tmp_path):
    source, spots = write(tmp_path / "film.mkv"), tmp_path / "spots.jsonl"
    code, _, _ = run("restore", source, "--spots-out", spots, "--quiet")
    assert code == 0
    rows = [json.loads(line) for line in spots.read_text().splitlines()]
    assert [row["frame"] for row in rows] == sorted(SPECKS)
    rows[0]["state"] = "rejected"
    spots.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, _ = run("restore", source, tmp_path / "out.mkv", "--spots", spots, "--quiet")
    assert code == 0
    assert "1 of 12 frames touched" in out
    assert "1 rejected" in out
    before, after = planes_of(source), planes_of(tmp_path / "out.mkv")
    assert np.array_equal(before[4][0], after[4][0])
    assert not np.array_equal(before[7][0], after[7][0])


def test_previews_are_made_without_an_output(run, tmp_path):
    source = write(tmp_path / "film.mkv", "yuv420p")
    sheet, film = tmp_path / "sheet.png", tmp_path / "preview.mp4"
    assert run("restore", source, "--preview", sheet, "--quiet")[0] == 0
    assert cv2.imread(str(sheet)).shape[1] > 1000
    assert run("restore", source, "--preview", film, "--quiet", "--crf", "1")[0] == 0
    with av.open(str(film)) as made:
        frames = [frame.to_ndarray(format="rgb24") for frame in made.decode(video=0)]
    top, left = SPECKS[4]
    red, green, _ = frames[4][top + 2, left + 3].astype(int)
    assert red - green > 60  # dust is red
    red, green, _ = frames[5][top + 2, left + 3].astype(int)
    assert abs(red - green) < 12
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "film.mkv", "preview.mp4", "sheet.png",
    ]  # fmt: skip


def test_strength_nothing_changes_nothing(run, tmp_path):
    source = write(tmp_path / "film.mkv")
    assert run("restore", source, tmp_path / "out.mkv", "--strength", "0", "--quiet")[0] == 0
    for old, new in zip(planes_of(source), planes_of(tmp_path / "out.mkv"), strict=True):
        assert np.array_equal(old[0], new[0])


def test_light_is_leveled_on_request_only(run, tmp_path):
    gains = np.exp(0.04 * np.random.default_rng(2).standard_normal(COUNT))
    source = write(
        tmp_path / "film.mkv", make=lambda n: np.rint(texture(n) * gains[n]).astype(np.uint16)
    )
    jumps = {}
    for name, flags in (("off", ()), ("on", ("--deflicker", "1"))):
        path = tmp_path / f"{name}.mkv"
        assert run("restore", source, path, *flags, "--quiet")[0] == 0
        means = [planes[0].mean() for planes in planes_of(path)]
        jumps[name] = float(np.diff(means).std())
    assert jumps["on"] < 0.4 * jumps["off"]


def test_a_clean_film_comes_out_as_it_went_in(run, tmp_path):
    source = write(tmp_path / "film.mkv", "yuv420p", make=texture)
    code, out, _ = run("restore", source, tmp_path / "out.mkv", "--quiet")
    assert code == 0
    assert "0 of 12 frames touched, 0.0000 %" in out
    for old, new in zip(planes_of(source), planes_of(tmp_path / "out.mkv"), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(old, new, strict=True))


@pytest.mark.parametrize("color", [False, True])
def test_a_hole_in_a_picture_is_filled(run, tmp_path, color):
    gray = texture(0).astype(np.uint8)
    pixels = np.dstack((gray, gray // 2 + 60, 255 - gray)) if color else gray
    hole = np.zeros(SIZE, bool)
    hole[40:52, 60:80] = True
    hole[:6, :9] = True  # at the border
    torn = pixels.copy()
    torn[hole] = 255
    cv2.imwrite(str(tmp_path / "torn.png"), torn)
    cv2.imwrite(str(tmp_path / "mask.png"), hole.astype(np.uint8) * 255)
    code, out, err = run(
        "restore", tmp_path / "torn.png", tmp_path / "out.png", "--masks", tmp_path / "mask.png",
        "--quiet",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "1 of 1 frames touched" in out
    made = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)
    assert made.shape == pixels.shape
    assert np.array_equal(made[~hole], torn[~hole])
    error = np.abs(made.astype(float) - pixels)[hole].mean()
    assert error < 0.35 * np.abs(torn.astype(float) - pixels)[hole].mean()


def test_the_strength_holds_for_color_pictures_too(run, tmp_path):
    gray = texture(0).astype(np.uint8)
    pixels = np.dstack((gray, gray // 2 + 60, 255 - gray))
    hole = np.zeros(SIZE, bool)
    hole[40:52, 60:80] = True
    pixels[hole] = 255
    cv2.imwrite(str(tmp_path / "torn.png"), pixels)
    cv2.imwrite(str(tmp_path / "mask.png"), hole.astype(np.uint8) * 255)
    made = {}
    for strength in ("0", "0.5", "1"):
        path = tmp_path / f"{strength}.png"
        words = ("--masks", tmp_path / "mask.png", "--strength", strength, "--quiet")
        assert run("restore", tmp_path / "torn.png", path, *words)[0] == 0
        made[strength] = cv2.imread(str(path)).astype(float)
    assert np.array_equal(made["0"], pixels)
    assert np.abs(made["1"] - pixels)[hole].mean() > 40
    assert np.abs(made["0.5"] - (made["0"] + made["1"]) / 2).max() <= 0.5


def test_colorize_restores_first(run, tmp_path):
    source = write(tmp_path / "film.mkv", "yuv420p")
    common = ("--detector", "none", "--codec", "ffv1", "--colorize.short_side", "64", "--quiet")
    assert run("colorize", source, tmp_path / "plain.mkv", *common)[0] == 0
    assert run("colorize", source, tmp_path / "healed.mkv", "--restore", *common)[0] == 0
    assert run("restore", source, tmp_path / "restored.mkv", "--quiet")[0] == 0
    plain, healed, restored, old = (
        planes_of(tmp_path / f"{name}.mkv") for name in ("plain", "healed", "restored", "film")
    )
    for number in range(COUNT):
        assert np.array_equal(plain[number][0], old[number][0])
        assert np.array_equal(healed[number][0], restored[number][0])
    assert not np.array_equal(healed[4][0], old[4][0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("film.mkv",), "OUTPUT is missing"),
        (("film.mkv", "film.mkv", "--overwrite"), "is the input itself"),
        (("film.mkv", "out.mkv", "--sensitivity", "much"), "sensitivity"),
        (("film.mkv", "out.mkv", "--masks", "small.png"), "this mask is 10x10, the picture 128x96"),
        (("film.mkv", "out.mkv", "--masks", "none.png"), "no such file"),
        (("film.mkv", "out.mkv", "--spots", "none.jsonl"), "cannot be read"),
        (("film.mkv", "out.mkv", "--masks", "full.png"), "covers the whole picture"),
        (("film.mkv", "out.mkv", "--masks", "full.png", "--start", "0.1"), "leave out start"),
        (("film.mkv", "out.mkv", "--repair-weights", "nothing"), "nothing"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(run, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    write(Path("film.mkv"))
    cv2.imwrite("small.png", np.full((10, 10), 255, np.uint8))
    cv2.imwrite("full.png", np.full(SIZE, 255, np.uint8))
    before = sorted(path.name for path in tmp_path.iterdir())
    code, out, err = run("restore", *words, "--quiet")
    assert code in (1, 2)
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before
