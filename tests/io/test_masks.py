"""Holes as people see them: white is damaged; what is written can be read back."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from media import describe, make_video, read_luma

from vidcolor.errors import MediaError
from vidcolor.io.mask_writer import HolesWriter
from vidcolor.io.masks import open_holes
from vidcolor.records import ColorSpec, VideoInfo

SIZE = (30, 40)
INFO = VideoInfo(*SIZE)


def hole(number: int) -> np.ndarray:
    """One pixel and one bar that differ from frame to frame; none in every third frame."""
    found = np.zeros(SIZE, np.bool_)
    if number % 3:
        found[number, number + 1] = True
        found[20:22, : number + 3] = True
    return found


def save(path, codes: np.ndarray):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, codes)[1].tobytes())
    return path


def same(found: np.ndarray | None, expected: np.ndarray) -> bool:
    if not expected.any():
        return found is None
    return found is not None and found.dtype == np.bool_ and np.array_equal(found, expected)


# -- writing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["holes", "holes.mkv"])
def test_round_trip(tmp_path, name) -> None:
    with HolesWriter(tmp_path / name, INFO) as writer:
        for number in range(9):
            writer.write(number, hole(number) if number != 3 else None)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with open_holes(tmp_path / name, INFO) as holes:
        for number in range(9):
            assert same(holes.hole(number), hole(number)), number
        holes.check(9)


def test_a_folder_has_white_holes_of_damaged_frames_and_the_first(tmp_path) -> None:
    with HolesWriter(tmp_path / "holes", INFO) as writer:
        for number in range(6):
            writer.write(number, hole(number))
    names = sorted(path.name for path in (tmp_path / "holes").iterdir())
    assert names == [f"{n:06}.png" for n in (0, 1, 2, 4, 5)]
    codes = cv2.imread(str(tmp_path / "holes" / "000004.png"), cv2.IMREAD_UNCHANGED)
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, hole(4) * np.uint8(255))


def test_a_film_of_holes_is_lossless_gray(tmp_path) -> None:
    with HolesWriter(tmp_path / "a.mkv", INFO) as writer:
        writer.write(1, hole(1))
        writer.write(4, None)
    codes, _ = read_luma(tmp_path / "a.mkv")
    assert len(codes) == 5
    np.testing.assert_array_equal(codes[1], hole(1) * np.uint8(255))
    assert not any(codes[n].any() for n in (0, 2, 3, 4))
    found = describe(tmp_path / "a.mkv")
    assert (found["codec"], found["format"], found["full"]) == ("ffv1", "gray", True)


def test_one_picture_for_a_still(tmp_path) -> None:
    with HolesWriter(tmp_path / "a.png", INFO) as writer:
        writer.write(0, hole(4))
    with open_holes(tmp_path / "a.png", INFO) as holes:
        assert same(holes.hole(0), hole(4))

    def two() -> None:
        with HolesWriter(tmp_path / "b.png", INFO) as writer:
            writer.write(0, hole(1))
            writer.write(1, hole(2))

    def none() -> None:
        with HolesWriter(tmp_path / "b.png", INFO):
            pass

    with pytest.raises(MediaError, match="give a folder"):
        two()
    with pytest.raises(MediaError, match="no frames were written"):
        none()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("name", ["holes", "holes.mkv", "holes.png"])
def test_an_error_leaves_nothing(tmp_path, name) -> None:
    def work() -> None:
        with HolesWriter(tmp_path / name, INFO) as writer:
            writer.write(0, hole(1))
            raise LookupError

    with pytest.raises(LookupError):
        work()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["holes", "holes.mkv", "holes.png"])
def test_what_is_there_is_replaced_only_on_request(tmp_path, name) -> None:
    def write(number: int, overwrite: bool) -> None:
        with HolesWriter(tmp_path / name, INFO, overwrite) as writer:
            writer.write(0, hole(number))

    write(1, False)
    with pytest.raises(MediaError, match="use --overwrite"):
        write(2, False)
    with open_holes(tmp_path / name, INFO) as holes:
        assert same(holes.hole(0), hole(1))
    write(2, True)
    with open_holes(tmp_path / name, INFO) as holes:
        assert same(holes.hole(0), hole(2))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_folders_of_others_are_never_replaced(tmp_path) -> None:
    folder = tmp_path / "photos"
    save(folder / "000001.png", np.zeros(SIZE, np.uint8))
    (folder / "holiday.jpg").write_bytes(b"precious")
    with pytest.raises(MediaError, match=r"holiday\.jpg, which would be lost"):
        HolesWriter(folder, INFO, overwrite=True).__enter__()
    assert (folder / "holiday.jpg").read_bytes() == b"precious"
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MediaError, match="is no folder"):
        HolesWriter(tmp_path / "file", INFO, overwrite=True).__enter__()
    with pytest.raises(MediaError, match="there is no folder"):
        HolesWriter(tmp_path / "none" / "holes", INFO).__enter__()


@pytest.mark.parametrize("name", ["a.png", "a.mkv", "a"])
def test_sources_are_never_replaced(tmp_path, name) -> None:
    source = tmp_path / name
    with HolesWriter(source, INFO) as writer:
        writer.write(0, hole(1))
    again = tmp_path / ("link" + source.suffix)
    again.symlink_to(source)
    with pytest.raises(MediaError, match="is the input itself"):
        HolesWriter(again, INFO, overwrite=True, sources=[source]).__enter__()
    with open_holes(source, INFO) as holes:
        assert same(holes.hole(0), hole(1))


def test_an_empty_folder_may_be_there(tmp_path) -> None:
    (tmp_path / "holes").mkdir()
    with HolesWriter(tmp_path / "holes", INFO) as writer:
        writer.write(0, hole(1))
    assert [path.name for path in (tmp_path / "holes").iterdir()] == ["000000.png"]


def test_frames_come_in_order_and_of_one_size(tmp_path) -> None:
    with HolesWriter(tmp_path / "holes", INFO) as writer:
        writer.write(3, hole(1))
        with pytest.raises(ValueError, match="frame 3 comes after 3"):
            writer.write(3, hole(1))
        with pytest.raises(ValueError, match="bool"):
            writer.write(4, hole(1).astype(np.uint8))
        with pytest.raises(ValueError, match=r"\(30, 40\)"):
            writer.write(4, hole(1)[:, 1:])


# -- reading -----------------------------------------------------------------------------------


def test_numbers_in_names_are_frames(tmp_path) -> None:
    folder = tmp_path / "holes"
    for name, number in (("m_2.png", 2), ("reel1_0010.tiff", 10), ("00004_x.png", 4)):
        save(folder / name, hole(number) * np.uint8(255))
    (folder / ".hidden7.png").write_bytes(b"no picture")
    with open_holes(folder, INFO) as holes:
        for number in range(12):
            expected = hole(number) if number in (2, 10, 4) else hole(0)
            assert same(holes.hole(number), expected), number
        assert same(holes.hole(4), hole(4))


def test_names_without_numbers_or_with_the_same(tmp_path) -> None:
    codes = np.zeros(SIZE, np.uint8)
    save(tmp_path / "a" / "mask.png", codes)
    with pytest.raises(MediaError, match="has no number"):
        open_holes(tmp_path / "a", INFO)
    save(tmp_path / "b" / "3.png", codes)
    save(tmp_path / "b" / "0003.png", codes)
    with pytest.raises(MediaError, match="is for frame 3, and so is"):
        open_holes(tmp_path / "b", INFO)
    (tmp_path / "c").mkdir()
    with pytest.raises(MediaError, match="holds no picture"):
        open_holes(tmp_path / "c", INFO)


def test_masks_of_frames_that_the_film_does_not_have(tmp_path) -> None:
    save(tmp_path / "a" / "000012.png", np.zeros(SIZE, np.uint8))
    with open_holes(tmp_path / "a", INFO) as holes:
        holes.check(13)
        with pytest.raises(MediaError, match="is for frame 12, the film has 12, from 0 to 11"):
            holes.check(12)


def test_one_picture_is_for_all_frames(tmp_path) -> None:
    with open_holes(save(tmp_path / "a.png", hole(1) * np.uint8(255)), INFO) as holes:
        assert same(holes.hole(0), hole(1))
        assert same(holes.hole(4711), hole(1))
        holes.check(3)


def test_white_is_128_and_more(tmp_path) -> None:
    gray = np.zeros(SIZE, np.uint8)
    gray[0, :4] = (0, 127, 128, 255)
    expected = np.zeros(SIZE, np.bool_)
    expected[0, 2:4] = True
    deep = np.zeros(SIZE, np.uint16)
    deep[0, :4] = (0, 128 * 256 - 1, 128 * 256, 65535)
    clear = np.dstack([np.full((*SIZE, 3), 255, np.uint8), gray])
    color = np.dstack([gray] * 3)
    for name, codes in (("8", gray), ("16", deep), ("alpha", clear), ("rgb", color)):
        with open_holes(save(tmp_path / f"{name}.png", codes), INFO) as holes:
            assert same(holes.hole(0), expected), name


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("full", [False, True])
def test_a_film_of_limited_range_or_more_bits(tmp_path, full, bits) -> None:
    pix_fmt = "gray" if bits == 8 else "gray10le"
    path = tmp_path / "a.mkv"
    film = make_video(path, frames=6, size=SIZE, pix_fmt=pix_fmt, full_range=full)
    with open_holes(path, INFO) as holes:
        for number in (0, 1, 1, 5):
            expected = film.luma[number] >= 128 << (bits - 8)
            assert 0 < expected.mean() < 1
            assert same(holes.hole(number), expected)
        holes.check(6)


def test_a_film_has_as_many_frames(tmp_path) -> None:
    path = make_video(tmp_path / "a.mkv", frames=6, size=SIZE, pix_fmt="gray").path
    with open_holes(path, INFO) as holes:
        holes.hole(5)
        with pytest.raises(ValueError, match="frame 4 after 5"):
            holes.hole(4)
        with pytest.raises(MediaError, match="more than the 6 frames of this mask"):
            holes.hole(6)
    for frames, message in ((5, "5 frames, this mask more than 5"), (7, "this mask 6, not 7")):
        with open_holes(path, INFO) as holes:
            holes.hole(2)
            with pytest.raises(MediaError, match=message):
                holes.check(frames)


@pytest.mark.parametrize("kind", ["folder", "png", "mkv"])
def test_another_size_is_said_with_both(tmp_path, kind) -> None:
    codes = np.zeros((30, 41), np.uint8)
    paths = {"folder": tmp_path / "a", "png": tmp_path / "b.png", "mkv": tmp_path / "c.mkv"}
    save(tmp_path / "a" / "000007.png", codes)
    save(tmp_path / "b.png", codes)
    make_video(tmp_path / "c.mkv", frames=2, size=(30, 41), pix_fmt="gray")

    def read() -> None:
        with open_holes(paths[kind], INFO):
            pass

    with pytest.raises(MediaError, match="this mask is 41x30, the picture 40x30"):
        read()


def test_later_pictures_are_checked_as_well(tmp_path) -> None:
    save(tmp_path / "a" / "1.png", np.zeros(SIZE, np.uint8))
    save(tmp_path / "a" / "2.png", np.zeros((30, 41), np.uint8))
    with (
        open_holes(tmp_path / "a", INFO) as holes,
        pytest.raises(MediaError, match=r"2\.png: this mask is 41x30"),
    ):
        holes.hole(2)


def test_missing_masks(tmp_path) -> None:
    for name in ("none", "none.png", "none.mkv"):
        with pytest.raises(MediaError, match="no such file"):
            open_holes(tmp_path / name, INFO).__enter__()


def test_rate_rotation_and_aspect_are_the_films(tmp_path) -> None:
    """So that players lay mask and film over one another."""
    info = VideoInfo(*SIZE, rate=Fraction(24), rotation=90, color=ColorSpec(bits=10))
    with HolesWriter(tmp_path / "a.mkv", info) as writer:
        for number in range(3):
            writer.write(number, None)
    assert describe(tmp_path / "a.mkv")["rotation"] == 90
    with av.open(str(tmp_path / "a.mkv")) as film:
        assert film.streams.video[0].average_rate == 24
