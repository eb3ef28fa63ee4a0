"""Colors pictures whose colors are known, and prints how close the result comes.

    python scripts/measure_pictures.py --photos 'data/train/photos-val.tar' [--short-side 160 256]
    python scripts/measure_pictures.py --coco data/instances/instances_val.json \
        --weights starter mine.safetensors --mean-of 'data/train/photos-train-*.tar'

Prints a Markdown table for a model card: the uncolored picture, one that wears the mean color of
a training set, and each weights without and with instances; of whole pictures and, where boxes are
known, of what is in them. Networks are called as training calls them, on L* of the true picture.
`--line` measures what `vidcolor colorize` would write instead: Y' kept, at the stored size.
`--lpips` needs the package lpips and its network (`pip install 'vidcolor[eval]'`).
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.build import choose_device, choose_precision
from vidcolor.color.compose import ComposeConfig, compose_rgb
from vidcolor.color.measure import Comparison, LabPicture, Level, lpips_distance, mean_chroma
from vidcolor.errors import MediaError, VidcolorError
from vidcolor.io.image import still_frame
from vidcolor.io.shards import Pictures
from vidcolor.models.registry import model_spec
from vidcolor.models.weights import identify, load_model
from vidcolor.records import Detections, Tracked, Tracks
from vidcolor.stages.colorize import ColorizeConfig, ColorizeFrames
from vidcolor.train.measured import mean_ab
from vidcolor.train.validate import validate

Array = npt.NDArray[Any]
Levels = list[tuple[str, Level]]

MOST = 8  # boxes of a picture, as in Su et al.
SMALLEST_SIDE_PX = 8
SMALLEST_AREA_PX = 256.0
SMALLEST_CHROMA = 4.0


class Source(Protocol):
    """Pictures with, perhaps, boxes."""

    def __len__(self) -> int: ...
    def rgb(self, number: int) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""
        ...

    def boxes(self, number: int) -> Array | None:
        """(K, 4) xyxy, most important first, or None."""
        ...


class CocoPictures:
    """Pictures of a COCO annotation file that have color and objects of some size.

    Args:
        path: The JSON file.
        folder: Where its file names begin.

    Raises:
        MediaError: If the file cannot be read or is none of that kind.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            found: dict[int, list[list[float]]] = {row["id"]: [] for row in table["images"]}
            for row in table["annotations"]:
                x, y, w, h = row["bbox"]
                large = min(w, h) >= SMALLEST_SIDE_PX and row.get("area", w * h) >= SMALLEST_AREA_PX
                if large and not row.get("iscrowd", 0):
                    found[row["image_id"]].append([x, y, x + w, y + h])
            images = sorted(table["images"], key=lambda row: str(row["file_name"]))
            kept = [row for row in images if found[row["id"]]]
            self.paths = [folder / row["file_name"] for row in kept]
            self._boxes = [found[row["id"]] for row in kept]
            chroma = [row.get("mean_chroma") for row in kept]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MediaError(f"{path}: no COCO annotations ({error!r})") from None
        known = (self._chroma(i) if c is None else float(c) for i, c in enumerate(chroma))
        self._kept = [i for i, c in enumerate(known) if c >= SMALLEST_CHROMA]
        if not self._kept:
            raise MediaError(f"{path}: no pictures with color and objects of some size in it")

    def __len__(self) -> int:
        return len(self._kept)

    def rgb(self, number: int) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""
        return self._read(self._kept[number])

    def boxes(self, number: int) -> Array:
        """(K, 4) xyxy, larger first."""
        boxes = np.array(self._boxes[self._kept[number]], np.float32)
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return boxes[np.argsort(-areas, kind="stable")]

    def _read(self, place: int) -> npt.NDArray[np.uint8]:
        path = self.paths[place]
        data = path.read_bytes() if path.is_file() else b""
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
        if picture is None:
            raise MediaError(f"{path}: not a readable picture; see --folder")
        return np.ascontiguousarray(picture[:, :, ::-1])

    def _chroma(self, place: int) -> float:
        return mean_chroma(LabPicture.of(self._read(place)).lab[..., 1:])


def by_network(
    names: Sequence[str], pictures: Source, side: int, boxed: bool, args: argparse.Namespace
) -> Levels:
    """Each weights called as in training; rows of all of them in one level."""
    joined: dict[str, Level] = {}
    for name in names:
        model, of = load_model(name, args.device)
        scores = validate(
            model,
            pictures,
            side,
            args.limit,
            spec=model_spec(of),
            boxes=pictures.boxes if boxed else None,
            most_boxes=MOST,
            mean_color=args.mean_color,
            detail=True,
            perceptual=args.perceptual,
            dtype=args.dtype,
        )
        labels = {"colored": name, "instances": f"{name}, instances"}
        for kind, level in (("picture", scores.picture), ("instance", scores.instance)):
            if level is not None:
                rows = {labels.get(row, row): quality for row, quality in level.rows.items()}
                before = joined[kind].rows if kind in joined else {}
                joined[kind] = dataclasses.replace(level, rows=before | rows)
    return list(joined.items())


def _tracks(boxes: Array, share: float) -> Tracks:
    count = len(boxes)
    zeros = torch.zeros(count, dtype=torch.int64)
    detections = Detections(
        torch.from_numpy(np.asarray(boxes, np.float32)), torch.ones(count), zeros, zeros
    )
    return Tracks(detections, torch.arange(count), torch.full((count,), share))


def by_line(
    names: Sequence[str], pictures: Source, side: int, boxed: bool, args: argparse.Namespace
) -> Levels:
    """Each weights in the stage that colors films; the result is composed as it is written."""
    compose = ComposeConfig(saturation=args.saturation)
    stages: dict[str, ColorizeFrames] = {}
    for name in names:
        model, of = load_model(name, args.device)
        config = ColorizeConfig(short_side=side)
        stages[name] = ColorizeFrames(model, model_spec(of), config, args.device, args.dtype)
    comparison = Comparison(args.perceptual)
    for number in range(min(len(pictures), args.limit or len(pictures))):
        rgb = pictures.rgb(number)
        boxes = pictures.boxes(number) if boxed else None
        boxes = np.zeros((0, 4)) if boxes is None else boxes[:MOST]
        frame = still_frame(rgb)
        luma = frame.luma[0, 0].numpy()
        colorings = {"uncolored": np.repeat(luma[..., None], 3, axis=2)}
        for name, stage in stages.items():
            for share in args.share if boxed and stage.uses_rois else [0.0]:
                tracks = _tracks(boxes, share) if share else Tracks.empty()
                chroma = stage(Tracked(frame, tracks)).chroma
                ab, lightness = chroma.ab[0].numpy(), chroma.lightness[0, 0].numpy()
                colors = {name + _suffix(share): ab}
                if args.mean_color is not None and "mean color" not in colorings:
                    flat = np.array(args.mean_color, np.float32).reshape(2, 1, 1)
                    colors = {"mean color": np.ones_like(ab) * flat} | colors
                for label, given in colors.items():
                    colorings[label] = compose_rgb(
                        luma, given, lightness, frame.info.color, compose
                    )
        comparison.add(rgb, colorings, boxes)
    found = (("picture", comparison.picture), ("instance", comparison.instance))
    return [(kind, level) for kind, level in found if level is not None]


def _suffix(share: float) -> str:
    if share == 0:
        return ""
    return ", instances" if share == 1 else f", instances at {share:g}"


def table(kind: str, level: Level, side: int) -> str:
    """Markdown."""
    what = "whole pictures" if kind == "picture" else "instances"
    lpips = any(quality.lpips is not None for quality in level.rows.values())
    heads = ["", "PSNR dB", "gain", "SSIM", "delta E 2000", "colorfulness difference",
             "mean chroma, of the truth's", *(["LPIPS"] if lpips else [])]  # fmt: skip
    lines = [
        f"{level.count} {what}, short side {side} px; truth: mean chroma {level.chroma:.1f}, "
        f"colorfulness {level.colorfulness:.1f}",
        "",
        "| " + " | ".join(heads) + " |",
        "|---" * len(heads) + "|",
    ]
    for name, quality in level.rows.items():
        cells = [
            name,
            f"{quality.psnr:.2f}",
            "" if name == "uncolored" else f"{level.gain(name):+.2f}",
            f"{quality.ssim:.4f}",
            f"{quality.delta_e:.2f}",
            f"{quality.colorfulness_difference:+.1f}",
            f"{quality.chroma:.1f} ({100 * level.chroma_share(name):.0f} %)",
        ]
        if lpips:
            cells.append("" if quality.lpips is None else f"{quality.lpips:.4f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--photos", nargs="+", metavar="SHARD", help="tar shards, or patterns")
    source.add_argument("--coco", type=Path, metavar="JSON", help="COCO annotations with boxes")
    parser.add_argument("--folder", type=Path, help="of the pictures; default: that of the JSON")
    parser.add_argument("--weights", nargs="+", default=["starter"], help="names or files")
    parser.add_argument(
        "--short-side", type=int, nargs="+", default=[0], help="0 is each network's own"
    )
    parser.add_argument("--limit", type=int, help="so many pictures at most")
    mean = parser.add_mutually_exclusive_group()
    mean.add_argument("--mean-of", nargs="+", metavar="SHARD", help="set with the mean color")
    mean.add_argument("--mean-color", type=float, nargs=2, metavar=("A", "B"))
    parser.add_argument("--line", action="store_true", help="through the whole line")
    parser.add_argument(
        "--share", type=float, nargs="+", default=[0.0, 1.0],
        help="with --line: how much instances count, 0 to 1",
    )  # fmt: skip
    parser.add_argument("--saturation", type=float, default=1.0, help="with --line")
    parser.add_argument("--lpips", action="store_true")
    parser.add_argument("--download", action="store_true", help="fetch what LPIPS lacks")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    args = parser.parse_args(arguments)
    if any(not 0 <= share <= 1 for share in args.share):
        parser.error("--share must be 0 to 1")
    if args.limit is not None and args.limit < 1:
        parser.error("--limit must be at least 1")
    return args


def _sides(names: Sequence[str], wanted: Sequence[int]) -> dict[int, list[str]]:
    """Which weights are measured at which short side."""
    found: dict[int, list[str]] = {}
    for side in wanted:
        for name in names:
            spec = model_spec(identify(name)[1])
            found.setdefault(side or spec.square or spec.short_side, []).append(name)
    return {side: list(dict.fromkeys(given)) for side, given in found.items()}


def _run(args: argparse.Namespace) -> None:
    args.device = choose_device(args.device)
    args.dtype = choose_precision(args.precision, args.device)
    args.perceptual = None
    if args.lpips:
        args.perceptual = functools.partial(
            lpips_distance, device=str(args.device), download=args.download
        )
    pictures: Source
    if args.photos:
        pictures = Pictures(tuple(args.photos))
        boxed = any(pictures.boxes(n) is not None for n in range(len(pictures)))
    else:
        pictures, boxed = CocoPictures(args.coco, args.folder or args.coco.parent), True
    if args.mean_of:
        args.mean_color = mean_ab(Pictures(tuple(args.mean_of)))
    results = []
    for side, names in _sides(args.weights, args.short_side).items():
        measure = by_line if args.line else by_network
        for kind, level in measure(names, pictures, side, boxed, args):
            results.append({"level": kind, "short_side": side} | dataclasses.asdict(level))
            if not args.json:
                print(table(kind, level, side), end="\n\n", flush=True)
    if args.json:
        way = "line" if args.line else "network"
        print(json.dumps({"through": way, "mean_color": args.mean_color, "results": results}))


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    args = _parse(arguments)
    try:
        _run(args)
    except VidcolorError as error:
        print(f"measure_pictures: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
