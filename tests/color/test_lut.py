import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator

from vidcolor.color.lut import Lut, read_cube
from vidcolor.errors import GuidanceError

RNG = np.random.default_rng(0)


def _cube(path, size=3, head="", entries=None):
    """A 3D file; entries are (size^3, 3), red runs fastest."""
    if entries is None:
        entries = RNG.random((size**3, 3))
    rows = "\n".join(" ".join(f"{v:.6f}" for v in row) for row in entries)
    path.write_text(f"{head}LUT_3D_SIZE {size}\n{rows}\n")
    return entries


def _call(lut, colors):
    """Colors (n, 3) through the table."""
    rgb = torch.tensor(np.asarray(colors), dtype=torch.float32).T.reshape(1, 3, 1, -1)
    return lut(rgb)[0, :, 0].T.numpy()


def test_3d_as_scipy_interpolates(tmp_path):
    path = tmp_path / "look.cube"
    entries = _cube(path, 4, '# a comment\nTITLE "A look"\n\n')
    lut = read_cube(path)
    assert lut.title == "A look"
    colors = RNG.random((50, 3))
    grid = (np.linspace(0, 1, 4),) * 3
    table = entries.reshape(4, 4, 4, 3)  # blue, green, red
    wanted = RegularGridInterpolator(grid, table)(colors[:, ::-1])
    np.testing.assert_allclose(_call(lut, colors), wanted, atol=1e-5)


def test_red_runs_fastest(tmp_path):
    path = tmp_path / "look.cube"
    _cube(path, 2, entries=[[i, 0, 0] for i in range(8)])
    lut = read_cube(path)
    assert _call(lut, [[1, 0, 0], [0, 1, 0], [0, 0, 1]])[:, 0].tolist() == [1, 2, 4]


def test_several_frames_and_sizes():
    generator = torch.Generator().manual_seed(0)
    lut = Lut(torch.rand(3, 5, 5, 5, generator=generator))
    rgb = torch.rand(3, 3, 4, 6, generator=generator)
    whole = lut(rgb)
    assert whole.shape == rgb.shape
    for i in range(3):
        for y in range(4):
            for x in range(6):
                alone = lut(rgb[i : i + 1, :, y : y + 1, x : x + 1])
                torch.testing.assert_close(alone[0, :, 0, 0], whole[i, :, y, x])


def test_1d_channels_by_themselves(tmp_path):
    path = tmp_path / "curve.cube"
    path.write_text("LUT_1D_SIZE 3\n0 1 0\n.5 0.5 0\n1 0 1e0\n")
    seen = _call(read_cube(path), [[0.25, 0.25, 0.75], [1, 1, 1], [0, 0, 0.5]])
    np.testing.assert_allclose(seen, [[0.25, 0.75, 0.5], [1, 0, 1], [0, 1, 0]], atol=1e-6)


def test_domain(tmp_path):
    path = tmp_path / "look.cube"
    path.write_text(
        "LUT_1D_SIZE 2\nDOMAIN_MIN -1 0 0\nDOMAIN_MAX 1 2 0.5\n0 0 0\n1 1 1\n", encoding="utf-8-sig"
    )
    lut = read_cube(path)
    assert (lut.low, lut.high) == ((-1, 0, 0), (1, 2, 0.5))
    seen = _call(lut, [[0, 1, 0.25], [-3, 3, 0.75]])
    np.testing.assert_allclose(seen, [[0.5, 0.5, 0.5], [0, 1, 1]], atol=1e-6)


def test_input_range_of_resolve(tmp_path):
    path = tmp_path / "look.cube"
    _cube(path, 2, "LUT_3D_INPUT_RANGE 0.0 2.0\n", [[i % 2, 0, 0] for i in range(8)])
    assert _call(read_cube(path), [[1, 0, 0]])[0, 0] == pytest.approx(0.5)


FOUR = "0 0 0\n" * 4
WRONG = {
    "": "line 0: no LUT_1D_SIZE",
    "# only a comment\n": "line 1: no LUT_1D_SIZE",
    "LUT_3D_SIZ 2\n": "line 1: unknown keyword 'LUT_3D_SIZ'; did you mean LUT_3D_SIZE",
    "LUT_3D_SIZE 1\n": "line 1: LUT_3D_SIZE must be a whole number from 2 to 256, not '1'",
    "LUT_3D_SIZE 2.0\n": "line 1: LUT_3D_SIZE must be a whole number",
    "LUT_3D_SIZE 300\n": "line 1: LUT_3D_SIZE must be a whole number",
    "LUT_3D_SIZE 2\n" + FOUR: "line 5: the file ends after 4 entries; a 3D table of 2 has 8",
    "LUT_1D_SIZE 2\n" + FOUR: "line 4: more entries than the 2",
    "LUT_1D_SIZE 2\nLUT_3D_SIZE 2\n": "line 2: a 1D and a 3D table",
    "LUT_1D_SIZE 2\n\n0 0\n": "line 3: an entry must be 3 numbers, not '0 0'",
    "LUT_1D_SIZE 2\n0 0 nan\n": "line 2: an entry must be 3 numbers",
    "LUT_1D_SIZE 2\nnan 0 0\n": "line 2: an entry must be 3 numbers",
    "0 0 0\n": "line 1: an entry before LUT_1D_SIZE",
    "LUT_1D_SIZE 2\n0 0 0\nTITLE x\n": "line 3: TITLE after the first entry",
    "TITLE look\n": "line 1: TITLE must be in quotes",
    "DOMAIN_MIN 0 0\n": "line 1: DOMAIN_MIN must be 3 numbers",
    "DOMAIN_MAX 0 1 1\nLUT_1D_SIZE 2\n0 0 0\n1 1 1\n": "line 1: the domain is empty",
    'TITLE "a"\nTITLE "b"\n': "line 2: TITLE was already given in line 1",
    "LUT_1D_SIZE 2\nLUT_3D_INPUT_RANGE 0 1\n0 0 0\n1 1 1\n": "line 2: LUT_3D_INPUT_RANGE does not",
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_files_say_where(text, tmp_path):
    path = tmp_path / "bad.cube"
    path.write_text(text)
    with pytest.raises(GuidanceError) as caught:
        read_cube(path)
    assert str(caught.value).startswith(f"{path}, {WRONG[text]}")


def test_files_that_are_none(tmp_path):
    with pytest.raises(GuidanceError, match=r"none\.cube: the look cannot be read: No such file"):
        read_cube(tmp_path / "none.cube")
    (tmp_path / "photo.cube").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(GuidanceError, match="no text"):
        read_cube(tmp_path / "photo.cube")


def test_tables_are_checked():
    with pytest.raises(ValueError, match="size"):
        Lut(torch.zeros(3, 2, 2, 3))
    with pytest.raises(ValueError, match="empty"):
        Lut(torch.zeros(3, 2), high=(1.0, 0.0, 1.0))
