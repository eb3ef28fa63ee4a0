"""Colors photographs whose colors are known, and prints how close the result comes.

    python scripts/measure_pictures.py --photos 'data/train/photos-val.tar' [--short-side 256]
    python scripts/measure_pictures.py --coco instances_val.json --folder coco-val --share 0 0.5 1

With `--photos`, whole pictures go through the line as `vidcolor colorize` does it. With `--coco`,
the boxes of the annotation file stand for a detector's, and the result is measured on the whole
picture and inside the boxes, for several shares of the instances.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch

from vidcolor.build import choose_device, choose_precision
from vidcolor.color.compose import ComposeConfig, compose_rgb
from vidcolor.io.image import still_frame
from vidcolor.models.registry import model_spec
from vidcolor.models.weights import load_model
from vidcolor.records import Detections, Tracked, Tracks
from vidcolor.stages.colorize import ColorizeConfig, ColorizeFrames
from vidcolor.train.data import Pictures

_MOST = 8
_SMALLEST_CHROMA = 4.0


def _boxes(path: Path) -> dict[str, list[list[float]]]:
    """File name -> xyxy boxes, larger first."""
    data = json.loads(path.read_text())
    names = {image["id"]: image["file_name"] for image in data["images"]}
    boxes: dict[str, list[list[float]]] = {name: [] for name in names.values()}
    for row in data["annotations"]:
        x, y, w, h = row["bbox"]
        if min(w, h) >= 8:
            boxes[names[row["image_id"]]].append([x, y, x + w, y + h])
    for rows in boxes.values():
        rows.sort(key=lambda b: (b[0] - b[2]) * (b[3] - b[1]))
    return boxes


def _tracks(boxes: list[list[float]]) -> Tracks:
    kept = torch.tensor(boxes[:_MOST], dtype=torch.float32).reshape(-1, 4)
    count = len(kept)
    zeros = torch.zeros(count, dtype=torch.int64)
    return Tracks(
        Detections(kept, torch.ones(count), zeros, zeros), torch.arange(count), torch.ones(count)
    )


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-3)))


def _chroma(rgb: np.ndarray) -> float:
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    return float(np.linalg.norm(lab[..., 1:], axis=2).mean())


def _color(
    stage: ColorizeFrames, rgb: np.ndarray, boxes: list[list[float]], compose: ComposeConfig
) -> np.ndarray:
    frame = still_frame(rgb)
    colored = stage(Tracked(frame, _tracks(boxes)))
    return compose_rgb(
        frame.luma[0, 0].numpy(),
        colored.chroma.ab[0].numpy(),
        colored.chroma.lightness[0, 0].numpy(),
        frame.info.color,
        compose,
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="starter")
    parser.add_argument("--photos")
    parser.add_argument("--coco", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--share", type=float, nargs="+", default=[0.0, 0.5, 1.0])
    parser.add_argument("--short-side", type=int, default=0)
    parser.add_argument("--saturation", type=float, default=1.0)
    parser.add_argument("--limit", type=int, default=100_000)
    args = parser.parse_args()

    device = choose_device("auto")
    model, name = load_model(args.weights, device)
    config = ColorizeConfig(short_side=args.short_side)
    stage = ColorizeFrames(
        model, model_spec(name), config, device, choose_precision("auto", device)
    )
    compose = ComposeConfig(saturation=args.saturation)
    if args.photos:
        pictures = Pictures((args.photos,))
        items = [(pictures.rgb(i), []) for i in range(min(len(pictures), args.limit))]
    else:
        found = _boxes(args.coco)
        items = []
        for file, boxes in sorted(found.items())[: args.limit]:
            rgb = cv2.imread(str(args.folder / file))[:, :, ::-1]
            if boxes and _chroma(rgb) >= _SMALLEST_CHROMA:
                items.append((np.ascontiguousarray(rgb), boxes))
    shares = args.share if args.coco else [0.0]
    print(f"{len(items)} pictures, weights {args.weights}, short side "
          f"{args.short_side or model_spec(name).short_side}")  # fmt: skip
    print("share  PSNR dB  gray dB  gain   in boxes  gray    gain   chroma  truth")
    for share in shares:
        if hasattr(model, "instance_share"):
            model.instance_share = share
        rows = []
        for rgb, boxes in items:
            colored = _color(stage, rgb, boxes if share else [], compose)
            gray = np.repeat(still_frame(rgb).luma[0, 0].numpy()[..., None], 3, 2)
            row = [_psnr(colored, rgb), _psnr(gray, rgb), _chroma(colored), _chroma(rgb)]
            inside = [
                (_psnr(colored[part], rgb[part]), _psnr(gray[part], rgb[part]))
                for x0, y0, x1, y1 in np.array(boxes[:_MOST]).astype(int)
                for part in [(slice(y0, y1), slice(x0, x1))]
            ]
            row += list(np.mean(inside, axis=0)) if inside else [np.nan, np.nan]
            rows.append(row)
        p, g, c, t, pi, gi = np.mean(rows, axis=0)
        print(f"{share:5.2f}  {p:7.2f}  {g:7.2f}  {p - g:+5.2f}  {pi:8.2f}  {gi:6.2f}  "
              f"{pi - gi:+5.2f}  {c:6.1f}  {t:5.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
