import cv2
import numpy as np

from vidcolor.stages.scene import SceneMap, scaled

FLAT = np.full((12, 16), 50, np.float32)


def _shift(x, y):
    return np.array(((1, 0, x), (0, 1, y), (0, 0, 1)), np.float64)


def _where(scene):
    """Cell of the map in which the frame's first cell lies."""
    part = scene.part()
    return part.place[:, 2] + (part.columns.start, part.rows.start)


def test_the_frame_moves_against_the_camera():
    scene = SceneMap((12, 16), 4, 4, 3)
    before = _where(scene)
    for _ in range(4):
        scene.move(_shift(-1.5, 0.5), FLAT)  # the picture goes left, so the camera goes right
    np.testing.assert_allclose(_where(scene) - before, (6, -2), atol=1e-9)


def test_what_is_laid_is_lifted():
    scene = SceneMap((12, 16), 4, 4, 3)
    planes = np.random.default_rng(0).normal(0, 1, (12, 16, 2)).astype(np.float32)
    part = scene.part()
    np.testing.assert_allclose(part.lift(part.lay(planes), (12, 16), (1.0, 1.0)), planes, atol=1e-6)
    large = part.lift(part.lay(planes), (48, 64), (4.0, 4.0))
    # the middle of a cell of four pixels lies between two of them
    middle = large[5:39:4, 5:55:4] + large[6:40:4, 6:56:4]
    np.testing.assert_allclose(large.mean(axis=(0, 1)), planes.mean(axis=(0, 1)), atol=0.05)
    assert np.corrcoef(middle[..., 0].ravel(), planes[1:10, 1:14, 0].ravel())[0, 1] > 0.95


def test_a_map_that_is_left_scrolls_by_whole_cells():
    scene = SceneMap((12, 16), 4, 4, 3)
    part = scene.part()
    scene.planes[part.rows, part.columns] = 7.0
    for _ in range(5):
        scene.move(_shift(-4, 0), FLAT)
    assert scene.planes.shape == (36, 48, 4)
    # cells of the first frame are still there, unchanged, to the left of the last one
    kept = np.argwhere(scene.planes[..., 0] == 7.0)
    assert len(kept) > 50
    assert kept[:, 1].max() < scene.part().columns.start + 4


def test_a_zoom_draws_the_map_anew():
    scene = SceneMap((12, 16), 4, 4, 3)
    for _ in range(8):
        scene.move(np.diag((0.9, 0.9, 1.0)), FLAT)
        linear = scene.part().place[:, :2]
        assert 1 / 1.5 <= np.sqrt(np.linalg.det(linear)) <= 1.5


def test_pixels_to_cells_keeps_borders():
    border = scaled(0.25, 0.5) @ np.array((-0.5, -0.5, 1))
    np.testing.assert_allclose(border, (-0.5, -0.5, 1))


def _known(wide, size=(48, 64)):
    """A scene whose map shows the first columns of a picture from 4 on."""
    scene = SceneMap(size, 4, 4, 3)
    part = scene.part()
    left, top = part.place[:, 2].astype(int)
    cells = scene.planes[part.rows, part.columns]
    inner = cells[top : top + size[0], left : left + size[1]]
    inner[..., 0], inner[..., 3] = wide[:, 4 : 4 + size[1]], 9
    return scene


def test_a_camera_that_stands_is_watched_for_creeping(monkeypatch):
    noise = np.random.default_rng(0).normal(0, 1, (48, 72)).astype(np.float32)
    wide = 50 + 60 * cv2.GaussianBlur(noise, (0, 0), 1.5)
    scene = _known(wide)
    before, compared = _where(scene), []
    settle = SceneMap._settle

    def note(scene, lightness):
        compared.append(frame)
        settle(scene, lightness)

    monkeypatch.setattr(SceneMap, "_settle", note)
    cameras = [np.eye(3)] * 6 + [_shift(0, 0.01)] * 3 + [np.eye(3)] * 12
    for frame, camera in enumerate(cameras):
        there = np.float32(((1, 0, 4 + 0.1 * frame), (0, 1, 0)))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        scene.move(camera, cv2.warpAffine(wide, there, (64, 48), flags=flags))
    assert compared == [0, 4, 6, 7, 8, 9, 13, 17]
    # 1.7 cells at the last comparison, and what is less than a still camera's play
    np.testing.assert_allclose(_where(scene) - before, (1.7, 0), atol=0.3)


def test_the_look_that_was_seen_most_keeps_the_map_from_slipping():
    size = (48, 64)
    noise = np.random.default_rng(0).normal(0, 1, (48, 72)).astype(np.float32)
    wide = 50 + 60 * cv2.GaussianBlur(noise, (0, 0), 1.5)
    for layer, counts in ((0, (5, 2)), (1, (2, 5))):
        scene = SceneMap(size, 8, 4, 3)
        part = scene.part()
        place = part.place[:, 2].astype(int)
        cells = scene.planes[part.rows, part.columns]
        inner = cells[place[1] : place[1] + 48, place[0] : place[0] + 64]
        inner[..., 0] = inner[..., 4] = 50  # flat, but for the layer that was seen most
        inner[..., 4 * layer] = wide[:, 4:68]
        inner[..., 3], inner[..., 7] = counts
        before = _where(scene)
        # all of the picture has slipped by a cell, which the flow between frames did not tell
        scene.move(np.eye(3), wide[:, 5:69])
        np.testing.assert_allclose(_where(scene) - before, (1, 0), atol=0.15)
