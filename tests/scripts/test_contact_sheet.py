import json
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

# R'G'B' of 75 % bars, and their BT.601 and BT.709 codes in limited range (ITU-R BT.801, BT.709).
RED = (191, 0, 0)
RED_601 = (65, 100, 212)
RED_709 = (51, 109, 212)
GRAY_CODES = (16, 52, 88, 125, 161, 198, 235)


def write_film(path, codes, matrix=None, full=False, pts=None, size=(48, 64), rate=25):
    """A lossless film of one (Y, Cb, Cr) a frame."""
    with av.open(path, "w") as out:
        stream = out.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = size[1], size[0], "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, rate)
        context.color_range = 2 if full else 1
        if matrix is not None:
            context.colorspace = matrix
        for number, values in enumerate(codes):
            frame = av.VideoFrame(size[1], size[0], "yuv420p")
            for plane, value in zip(frame.planes, values, strict=True):
                np.frombuffer(plane, np.uint8)[:] = value
            frame.pts = number if pts is None else pts[number]
            frame.time_base = Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def grays(codes):
    return [(code, 128, 128) for code in codes]


@pytest.fixture(scope="module")
def sheet(tool):
    return tool("scripts/contact_sheet.py")


@pytest.mark.parametrize(
    ("matrix", "height", "codes"),
    [(6, 48, RED_601), (1, 48, RED_709), (None, 48, RED_601), (None, 720, RED_709)],
)
def test_the_matrix_that_the_file_claims_is_used(sheet, tmp_path, matrix, height, codes):
    film = write_film(tmp_path / "red.mkv", [codes], matrix, size=(height, 64))
    ((picture, turns),) = sheet.decode(film, [Fraction(0)])
    assert turns == 0
    assert np.abs(picture.reshape(-1, 3).mean(0) - RED).max() <= 2


@pytest.mark.parametrize(("full", "black", "white"), [(False, 16, 235), (True, 0, 255)])
def test_black_and_white_of_either_range(sheet, tmp_path, full, black, white):
    film = write_film(tmp_path / "range.mkv", grays([black, white]), 1, full)
    pictures = sheet.decode(film, [Fraction(0), Fraction(1, 25)])
    assert [int(np.median(picture)) for picture, _ in pictures] == [0, 255]


def test_moments_of_the_source_are_found_in_a_film_of_another_pace(sheet, tmp_path):
    """Frames are those on screen at the time, whatever number they have."""
    film = write_film(
        tmp_path / "vfr.mkv", grays(GRAY_CODES), 1, pts=(5, 6, 8, 12, 13, 17, 18), rate=24
    )
    times = [Fraction(n, 24) for n in (0, 1, 2, 3, 6, 11, 12, 13, 40)]
    shown = [round(float(p.mean()) * 219 / 255 + 16) for p, _ in sheet.decode(film, times)]
    expected = [GRAY_CODES[n] for n in (0, 1, 1, 2, 2, 4, 5, 6, 6)]
    assert np.abs(np.subtract(shown, expected)).max() <= 1


def test_picks_are_spread_evenly(sheet):
    times = [Fraction(n) for n in range(12)]
    assert sheet.pick(times, 3) == [2, 6, 10]
    assert sheet.pick(times[:2], 5) == [0, 1]


def test_sheet_has_a_row_a_film_and_a_column_a_frame(sheet, tmp_path, capsys):
    source = write_film(tmp_path / "source.mkv", grays(GRAY_CODES), 1)
    output = write_film(tmp_path / "output.mkv", [RED_709] * 7, 1)
    out = tmp_path / "sheet.png"
    given = [source, output, "--frames", 3, "--height", 48, "--out", out]
    assert sheet.main([str(part) for part in given]) == 0
    assert "2 rows of 3 frames" in capsys.readouterr().out
    picture = cv2.imread(str(out))[..., ::-1].astype(int)
    margin, label, width = sheet.MARGIN, sheet.LABEL, 64 + sheet.MARGIN
    assert picture.shape[:2] == (2 * margin + 3 * label + 2 * 48, 3 * width + margin)
    top, bottom = margin + 2 * label + 24, margin + 3 * label + 48 + 24
    for column, code in enumerate((52, 125, 198)):
        x = margin + column * width + 32
        assert np.abs(picture[top, x] - (code - 16) * 255 / 219).max() <= 2
        assert np.abs(picture[bottom, x] - RED).max() <= 2


def test_boxes_are_drawn_on_their_frame_of_the_first_row(sheet, tmp_path):
    source = write_film(tmp_path / "source.mkv", grays(GRAY_CODES), 1)
    boxes = tmp_path / "boxes.jsonl"
    row = {"frame": 3, "boxes": [[8, 8, 40, 40]], "scores": [0.9], "labels": ["person"]}
    boxes.write_text(json.dumps(row) + "\n")
    sheets = []
    for extra in ([], ["--boxes", str(boxes)]):
        out = tmp_path / "sheet.png"
        given = [source, source, "--frames", 3, "--height", 48, "--out", out]
        sheet.main([str(part) for part in given] + extra)
        sheets.append(cv2.imread(str(out)).astype(int))
    rows, columns = np.nonzero(np.abs(sheets[0] - sheets[1]).max(2))
    left = sheet.MARGIN + 64 + sheet.MARGIN  # the second column has frame 3
    assert left + 7 <= columns.min() <= left + 9
    assert columns.max() < left + 64
    assert rows.max() < sheet.MARGIN + 2 * sheet.LABEL + 48


def test_a_file_without_a_picture_is_refused_in_one_line(sheet, tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(path, "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
    with pytest.raises(SystemExit, match=r"sound\.wav: no picture in it"):
        sheet.main([str(path)])
