"""Measures how well damage of single frames is found and healed, on films damaged here.

Usage: python scripts/measure_damage.py CLIP... [--aged] [--sensitivity normal] [--frames 24]
       python scripts/measure_damage.py CLIP... --real [--show FOLDER]

Of each clip the middle of its longest shot gets dust and hairs with known truth; `--aged` adds
weave, flicker and grain first, which belong to the truth. Printed are precision and recall within
1 px, the share of the undamaged film that would be repaired, and the PSNR of whole frames:
damaged, repaired where damage was found, repaired where it is; and milliseconds of a core a frame
for motion and for the search. `--real` only tells what is found; with `--show` it draws it: what
would be repaired in red, what would be put to a person in yellow.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from vidcolor.holes.film import damage_frames
from vidcolor.holes.film_settings import FilmDamage
from vidcolor.io.video import VideoReader
from vidcolor.records import FrameBatch
from vidcolor.repair.dust.detector import Dust, DustConfig
from vidcolor.repair.find import Finder
from vidcolor.repair.heal.fill import TeleaFill
from vidcolor.repair.heal.grow import Grow
from vidcolor.repair.heal.healer import Heal, HealConfig
from vidcolor.repair.judge import spots_of
from vidcolor.repair.motion import FollowConfig, follow
from vidcolor.repair.records import Marked, Moved, union
from vidcolor.stages.cut import CutConfig, FindShots


def main() -> None:
    """Measure the clips of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=24, help="of each clip")
    parser.add_argument("--step", type=int, default=3, help="every so many frames are measured")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--aged", action="store_true", help="weave 0.6 px, flicker 3 %%, grain 4")
    parser.add_argument("--sensitivity", default="normal")
    parser.add_argument("--real", action="store_true", help="add no damage")
    parser.add_argument("--show", type=Path, help="folder for pictures of what was found")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    detector = Dust(DustConfig(sensitivity=arguments.sensitivity))
    if arguments.real:
        for clip in arguments.clips:
            for span in spans(clip, arguments.frames, shots=3):
                tell(clip, span, detector, arguments.show)
        return
    damage = FilmDamage(scratches=0)
    if arguments.aged:
        damage = FilmDamage(scratches=0, weave_px=0.6, flicker=0.03, grain=4)
    print(
        f"{'':22}{'precision':>10}{'recall':>8}{'clean':>9}{'review':>9}"
        f"{'damaged':>9}{'found':>7}{'true':>7}{'motion':>8}{'search':>8}"
    )
    for clip in arguments.clips:
        for span in spans(clip, arguments.frames, shots=1):
            print(f"{clip.stem[:21]:22}" + measure(span, damage, detector, arguments), flush=True)


def spans(path: Path, length: int, shots: int) -> list[FrameBatch]:
    """The middle of the longest shots of a clip."""
    found: dict[int, list[FrameBatch]] = {}
    with VideoReader(path) as film:
        for batch in FindShots(CutConfig(held=False))(film):
            found.setdefault(batch.shot, []).append(batch)
    parts = []
    for batches in found.values():
        luma = torch.cat([batch.luma for batch in batches])
        first = max(0, (len(luma) - length) // 2)
        luma = luma[first : first + length]
        number = batches[0].index + first
        parts.append(
            (
                sum(map(len, batches)),
                FrameBatch(luma, tuple(range(len(luma))), batches[0].info, number),
            )
        )
    parts.sort(key=lambda part: -part[0])
    return [part for _, part in parts[:shots]]


def measure(
    span: FrameBatch, damage: FilmDamage, detector: Dust, arguments: argparse.Namespace
) -> str:
    """A row of the table."""
    gray = [plane.astype(np.float32) for plane in (span.luma[:, 0].float() / unit(span)).numpy()]
    made = list(damage_frames(gray, damage, arguments.seed))
    damaged, clean = (
        batch_of(span, [getattr(one, name) for one in made]) for name in ("frame", "clean")
    )
    moved, motion_s = timed(lambda: follow(FindShots(CutConfig())([damaged]), FollowConfig()))
    marked, search_s = timed(lambda: Finder([detector])(moved))
    grown = list(Grow()(marked))
    holes, truth = found(grown), [one.hole for one in made]
    untouched = look(clean, detector)
    errors = []
    near = np.ones((3, 3), np.uint8)
    hits = flagged = met = true = 0
    goal = clean.luma[:, 0].float().numpy() / unit(span)
    repaired = [healed(grown), healed(marked_by(moved, truth))]
    for i in range(0, len(span), arguments.step):
        hole, own = holes[i], truth[i]
        hits += np.count_nonzero(hole & (cv2.dilate(own.astype(np.uint8), near) > 0))
        met += np.count_nonzero(own & (cv2.dilate(hole.astype(np.uint8), near) > 0))
        flagged += np.count_nonzero(hole)
        true += np.count_nonzero(own)
        before = damaged.luma[i, 0].float().numpy() / unit(span)
        errors.append(
            [np.mean((x - goal[i]) ** 2) for x in (before, *(film[i] for film in repaired))]
        )
    psnr = 10 * np.log10(255**2 / np.maximum(1e-9, np.mean(errors, axis=0)))
    ms = 1000 / len(span)
    share = 100 * np.mean([hole.mean() for hole in found(untouched)])
    listed = 100 * np.mean([hole.mean() for hole in found(untouched, review=True)]) - share
    return (
        f"{hits / max(1, flagged):10.3f}{met / max(1, true):8.3f}{share:8.4f}%{listed:8.4f}%"
        f"{psnr[0]:9.1f}{psnr[1]:7.1f}{psnr[2]:7.1f}{motion_s * ms:8.0f}{search_s * ms:8.0f}"
    )


def unit(span: FrameBatch) -> int:
    """Codes to a cv."""
    return 1 << (span.info.color.bits - 8)


def batch_of(span: FrameBatch, planes: Sequence[np.ndarray]) -> FrameBatch:
    """The same frames with other pictures, given in cv."""
    most = (1 << span.info.color.bits) - 1
    codes = np.clip(np.rint(np.stack(planes) * unit(span)), 0, most)
    return replace(span, luma=torch.from_numpy(codes).to(span.luma.dtype)[:, None], index=0)


def timed(work):
    """A list of what an iterator gives, and the processor's seconds for it."""
    began = time.process_time()
    return list(work()), time.process_time() - began


def look(frames: FrameBatch, detector: Dust) -> list[Marked]:
    """What is found in a film."""
    moved = follow(FindShots(CutConfig())([frames]), FollowConfig())
    return list(Grow()(Finder([detector])(moved)))


def found(marked: Iterable[Marked], review: bool = False) -> list[np.ndarray]:
    """Holes of all frames."""
    return [
        union(spots, one.frames.info.size, review=review) for one in marked for spots in one.spots
    ]


def healed(marked: Iterable[Marked]) -> list[np.ndarray]:
    """Luma of frames with accepted spots healed, in cv."""
    films = Heal(HealConfig(), TeleaFill())(marked)
    return [
        plane for one in films for plane in one.frames.luma[:, 0].float().numpy() / unit(one.frames)
    ]


def marked_by(moved: Iterable[Moved], truth: Sequence[np.ndarray]) -> Iterator[Marked]:
    """Frames with their true holes."""
    number = 0
    for one in moved:
        holes = truth[number : number + len(one.frames)]
        yield Marked(one, tuple(spots_of(hole) for hole in holes))
        number += len(one.frames)


def tell(clip: Path, span: FrameBatch, detector: Dust, folder: Path | None) -> None:
    """What is found in a film as it is."""
    frames = replace(span, index=0)
    marked = look(frames, detector)
    shares = [100 * np.mean([h.mean() for h in found(marked, review)]) for review in (False, True)]
    spots = [spot for one in marked for some in one.spots for spot in some]
    kinds = {
        kind: sum(s.kind == kind and s.state == "accepted" for s in spots)
        for kind in ("dust", "hair")
    }
    print(
        f"{clip.stem[:28]:30}frame {span.index:4} accepted {shares[0]:.4f} % "
        f"({kinds['dust']} dust, {kinds['hair']} hairs), review {shares[1] - shares[0]:.4f} % "
        f"({sum(s.state == 'review' for s in spots)}) in {len(span)} frames",
        flush=True,
    )
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        number = span.index
        for one in marked:
            for plane, some in zip(
                one.frames.luma[:, 0].float().numpy() / unit(span), one.spots, strict=True
            ):
                cv2.imwrite(str(folder / f"{clip.stem}_{number:05}.png"), drawn(plane, some))
                number += 1


def drawn(gray: np.ndarray, spots) -> np.ndarray:
    """A frame with its spots outlined, BGR."""
    picture = cv2.cvtColor(np.clip(gray, 0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    for spot in spots:
        color = (0, 0, 255) if spot.state == "accepted" else (0, 220, 255)
        left, top, right, bottom = spot.box
        cv2.rectangle(picture, (left - 3, top - 3), (right + 2, bottom + 2), color, 1)
    return picture


if __name__ == "__main__":
    main()
