"""Films and pictures whose content is known, and the sets that are built of them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import av
import cv2
import numpy as np
from media import fill

from vidcolor.schema import load
from vidcolor.train.dataset.build import build_dataset
from vidcolor.train.dataset.config import BuildConfig

RATE = 10
SMALL = {"every_s": 0.2, "short_side": 64, "least_side": 32, "val": 0.3}


def scene(seed: int, size: tuple[int, int] = (72, 96), move: float = 0.0) -> np.ndarray:
    """(H, W, 3) uint8: colored patches of a place of its own, moved to the left by `move` px."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(30, 225, (6, 16, 3)).astype(np.float32)
    wide = cv2.resize(small, (2 * size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    matrix = np.array([[1, 0, move], [0, 1, 0]], np.float32)
    moved = cv2.warpAffine(
        wide, matrix, size[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )  # fmt: skip
    return np.rint(moved.clip(0, 255)).astype(np.uint8)


def shot(seed: int, count: int = 10, size=(72, 96), speed: float = 2.0) -> list[np.ndarray]:
    return [scene(seed, size, speed * i) for i in range(count)]


def letterboxed(frames, top: int, bottom: int, left: int = 0, right: int = 0):
    return [np.pad(frame, ((top, bottom), (left, right), (0, 0))) for frame in frames]


def gray(frames):
    return [np.repeat(frame.mean(2, keepdims=True), 3, 2).astype(np.uint8) for frame in frames]


def write_film(path: Path, frames, rate: int = RATE) -> Path:
    """Lossless RGB."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "bgr0"
        for number, rgb in enumerate(frames):
            frame = av.VideoFrame(rgb.shape[1], rgb.shape[0], "bgr0")
            alpha = np.full((*rgb.shape[:2], 1), 255, np.uint8)
            fill(frame, [np.dstack((rgb[..., ::-1], alpha)).reshape(rgb.shape[0], -1)])
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def write_picture(path: Path, rgb: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, rgb[..., ::-1])[1].tobytes())
    return path


def read_set(folder: Path) -> dict[str, dict]:
    """All pictures of a finished set: key to {"rgb", "later", "split", **KEY.json}."""
    found: dict[str, dict] = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                key, _, kind = member.name.partition(".")
                data = archive.extractfile(member).read()
                item = found.setdefault(key, {"split": path.name.split("-")[0]})
                if kind == "json":
                    item.update(json.loads(data))
                else:
                    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
                    item["later" if kind.startswith("next") else "rgb"] = pixels[..., ::-1]
    return found


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def config(**options):
    detect = {"detector": options.pop("detector", "none")}
    return load(BuildConfig, {**SMALL, "detect": detect, **options})


def build(sources, out, **options):
    report = build_dataset(sources, out, config(**options))
    return report, read_set(out)


def near_to(one, other, most=4.0):
    return np.abs(one.astype(float) - other).mean() < most


def resized(rgb, size):
    return cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA)


def album(folder, seeds=range(6), suffix=".png", size=(60, 90)):
    for seed in seeds:
        write_picture(folder / f"p{seed}{suffix}", scene(seed, size))
    return folder


def png(rgb):
    return cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()
