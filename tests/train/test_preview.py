import io
import tarfile

import cv2
import media
import numpy as np
import pytest

from vidcolor.errors import ConfigError, MediaError
from vidcolor.train.degrade import DegradeConfig
from vidcolor.train.degrade.config import EFFECTS
from vidcolor.train.preview import alone, preview_sheet, write_preview

SIDE, GAP, LABEL, HEAD = 32, 4, 132, 18
PLAIN = alone(DegradeConfig())


class Album:
    """Pictures of noise, at the size of the cells."""

    def __init__(self, count=3):
        rng = np.random.default_rng(0)
        self.names = [f"set/{number}.png" for number in range(count)]
        self._pictures = [rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8) for _ in range(count)]

    def __len__(self):
        return len(self.names)

    def rgb(self, number):
        return self._pictures[number]


def _cell(sheet, row, column, pictures):
    """A cell of row `row`, counted over both parts, `pictures` rows of which are above."""
    top = HEAD * (1 + (row >= pictures)) + row * (SIDE + GAP)
    left = LABEL + column * (SIDE + GAP)
    return sheet[top : top + SIDE, left : left + SIDE]


def _effect_row(effect, pictures):
    return pictures + list(EFFECTS).index(effect)


def _png(rgb):
    return cv2.imencode(".png", np.ascontiguousarray(rgb[..., ::-1]))[1].tobytes()


def _shard(path, pictures):
    with tarfile.open(path, "w") as archive:
        for number, rgb in enumerate(pictures):
            data = _png(rgb)
            entry = tarfile.TarInfo(f"{number}.png")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def _read(path):
    return cv2.imread(str(path))[:, :, ::-1]


def _plain(red, green, blue, side=SIDE):
    return np.full((side, side, 3), (red, green, blue), np.uint8)


def _colors(path, count):
    """The middle pixels of the color cells of a written sheet."""
    sheet = _read(path)
    middle = SIDE // 2
    cells = [_cell(sheet, row, 0, count)[middle, middle] for row in range(count)]
    return sorted(tuple(int(v) for v in cell) for cell in cells)


def test_a_sheet_shows_color_luma_drawn_grays_and_every_effect():
    album = Album(2)
    sheet = preview_sheet(album, PLAIN, count=5, side=SIDE, columns=6)
    rows = 2 + len(EFFECTS)
    assert sheet.shape == (2 * HEAD + rows * (SIDE + GAP), LABEL + 6 * (SIDE + GAP), 3)
    assert sheet.dtype == np.uint8
    shown = [_cell(sheet, row, 0, 2) for row in range(2)]
    for number in range(2):
        assert any(np.array_equal(album.rgb(number), cell) for cell in shown)
    for row, rgb in enumerate(shown):
        luma = rgb @ np.array((0.2126, 0.7152, 0.0722))
        gray = _cell(sheet, row, 1, 2)
        assert np.abs(gray - luma[..., None]).max() <= 0.51
        for column in range(2, 6):  # nothing is switched on: luma of BT.709 or of BT.601
            other = rgb @ np.array((0.299, 0.587, 0.114))
            cell = _cell(sheet, row, column, 2)[..., 0]
            assert min(np.abs(cell - luma).max(), np.abs(cell - other).max()) <= 0.51


def test_each_effect_row_shows_its_effect_alone_in_two_frames():
    sheet = preview_sheet(Album(2), PLAIN, count=2, side=SIDE, columns=6)
    rgb = _cell(sheet, 0, 0, 2)
    lumas = [rgb @ np.array(w) for w in ((0.2126, 0.7152, 0.0722), (0.299, 0.587, 0.114))]

    def unlike_luma(effect, column, rows=slice(None)):
        cell = _cell(sheet, _effect_row(effect, 2), column, 2)[..., 0]
        return min(np.abs(cell - luma)[rows].max() for luma in lumas)

    # the first picture is in columns 0 and 1, and again in 4 and 5
    for effect in set(EFFECTS) - {"dust", "scratches"}:  # of these all may lie outside or be faint
        assert max(unlike_luma(effect, column) for column in (0, 4)) > 1, effect
    for column in (0, 4):
        assert unlike_luma("interlace", column, slice(0, None, 2)) <= 0.51
    for effect in ("stock", "tone", "blur", "interlace", "compression"):
        row = _effect_row(effect, 2)
        assert np.array_equal(_cell(sheet, row, 0, 2), _cell(sheet, row, 1, 2)), effect
    for effect in ("grain", "flicker"):
        row = _effect_row(effect, 2)
        assert not np.array_equal(_cell(sheet, row, 0, 2), _cell(sheet, row, 1, 2)), effect


def test_a_sheet_depends_on_its_seed_only():
    album, film = Album(6), DegradeConfig(grain=1)
    one = preview_sheet(album, film, 1, 3, side=SIDE)
    assert np.array_equal(one, preview_sheet(album, film, 1, 3, side=SIDE))
    other = preview_sheet(album, film, 2, 3, side=SIDE)
    assert not np.array_equal(_cell(one, 0, 0, 3), _cell(other, 0, 0, 3))
    row = _effect_row("grain", 3)
    assert not np.array_equal(_cell(one, row, 0, 3), _cell(other, row, 0, 3))


def test_labels_tell_effects_and_values_apart():
    def margins(film):
        sheet = preview_sheet(Album(1), film, count=1, side=64, columns=3)
        first = 2 * HEAD + 68
        return [sheet[first + 68 * n : first + 68 * (n + 1), :LABEL] for n in range(len(EFFECTS))]

    one = margins(DegradeConfig())
    assert all(label.min() < 100 for label in one)
    assert len({label.tobytes() for label in one}) == len(EFFECTS)
    other = margins(DegradeConfig(grain=0.25, compression_quality=33))
    changed = [name for name, a, b in zip(EFFECTS, one, other, strict=True) if (a != b).any()]
    assert changed == ["grain", "compression"]


def test_numbers_too_small_are_refused(tmp_path):
    for name, value in (("count", 0), ("side", 8), ("columns", 2)):
        with pytest.raises(ConfigError, match=f"{name} must be at least"):
            preview_sheet(Album(), PLAIN, **{name: value})
        with pytest.raises(ConfigError, match=f"{name} must be at least"):
            write_preview([tmp_path], tmp_path / "sheet.png", PLAIN, **{name: value})


def test_shards_folders_pictures_and_films_give_their_parts(tmp_path):
    _shard(tmp_path / "a [1].tar", [_plain(200, 10, 10)] * 5)
    (tmp_path / "folder").mkdir()
    for number in range(3):
        (tmp_path / "folder" / f"{number}.png").write_bytes(_png(_plain(10, 200, 10)))
    (tmp_path / "set").mkdir()
    _shard(tmp_path / "set" / "train-000000.tar", [_plain(10, 10, 200)])
    (tmp_path / "one.png").write_bytes(_png(_plain(90, 80, 70)))
    film = media.make_video(tmp_path / "film.mkv", pix_fmt="bgr0", size=(SIDE, SIDE), frames=9)
    sources = [tmp_path / name for name in ("a [1].tar", "folder", "set", "one.png", "film.mkv")]
    counts = []
    target = write_preview(
        sources, tmp_path / "sheet.png", PLAIN, count=5, side=SIDE, progress=counts.append
    )
    middle = SIDE // 2
    of_film = tuple(int(v) for v in film.rgb[4][middle, middle])  # half of 9 frames is in the fifth
    expected = [(200, 10, 10), (10, 200, 10), (10, 10, 200), (90, 80, 70), of_film]
    assert _colors(target, 5) == sorted(expected)
    assert sum(counts) == 5 + 5 + len(EFFECTS)  # read, then the rows of both parts
    # of four pictures, three sources give one each, and the first another
    target = write_preview(sources[:3], tmp_path / "four.png", PLAIN, count=4, side=SIDE)
    assert _colors(target, 4) == sorted([*expected[:3], expected[0]])


def test_frames_of_a_film_are_spread_over_it(tmp_path):
    film = media.make_video(tmp_path / "film.mkv", pix_fmt="bgr0", size=(SIDE, SIDE), frames=12)
    sheet = _read(write_preview([film.path], tmp_path / "sheet.png", PLAIN, count=3, side=SIDE))
    cells = [_cell(sheet, row, 0, 3) for row in range(3)]
    for number in (2, 6, 10):  # the middles of three thirds of 12
        assert any(np.array_equal(cell, film.rgb[number]) for cell in cells), number
    short = media.make_video(tmp_path / "short.mkv", pix_fmt="bgr0", size=(SIDE, SIDE), frames=1)
    sheet = _read(write_preview([short.path], tmp_path / "one.png", PLAIN, count=3, side=SIDE))
    assert np.array_equal(_cell(sheet, 0, 0, 1), short.rgb[0])
    assert len(sheet) == 2 * HEAD + (1 + len(EFFECTS)) * (SIDE + GAP)


def test_a_file_is_not_replaced_unasked(tmp_path):
    shard = _shard(tmp_path / "a.tar", [_plain(1, 2, 3)])
    target = tmp_path / "sheet.png"
    target.write_bytes(b"mine")
    with pytest.raises(MediaError, match="exists"):
        write_preview([shard], target, PLAIN, count=1, side=SIDE)
    assert target.read_bytes() == b"mine"
    write_preview([shard], target, PLAIN, count=1, side=SIDE, overwrite=True)
    assert _colors(target, 1) == [(1, 2, 3)]
    late = tmp_path / "late.png"
    with pytest.raises(MediaError, match="exists"):
        write_preview(
            [shard], late, PLAIN, count=1, side=SIDE, progress=lambda _: late.write_bytes(b"new")
        )
    assert late.read_bytes() == b"new"
    late.unlink()
    picture = tmp_path / "one.png"
    picture.write_bytes(_png(_plain(9, 9, 9)))
    with pytest.raises(MediaError, match="is the input itself"):
        write_preview([picture], picture, PLAIN, count=1, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "one.png", "sheet.png"]


def test_what_cannot_be_read_or_written_is_named(tmp_path):
    shard = _shard(tmp_path / "a.tar", [_plain(1, 2, 3)])
    with pytest.raises(MediaError, match=r"sheet\.txt: a sheet is a picture"):
        write_preview([shard], tmp_path / "sheet.txt", PLAIN)
    with pytest.raises(ConfigError, match="no source"):
        write_preview([], tmp_path / "sheet.png", PLAIN)
    with pytest.raises(MediaError, match=r"none\.tar: no such shard"):
        write_preview([tmp_path / "none.tar"], tmp_path / "sheet.png", PLAIN)
    with pytest.raises(MediaError, match=r"none\.mkv: no such file"):
        write_preview([tmp_path / "none.mkv"], tmp_path / "sheet.png", PLAIN)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match="holds no picture"):
        write_preview([tmp_path / "empty"], tmp_path / "sheet.png", PLAIN)
    assert not (tmp_path / "sheet.png").exists()
