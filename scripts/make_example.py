"""Makes the example clip: nine seconds of black-and-white film with sound.

    python scripts/make_example.py [examples/example.mp4] [--color truth.mp4]

Needs `pip install -e '.[dev]'`, for the pictures come with scikit-image (in its wheel, nothing is
fetched):

* `rocket`: DSCOVR on a Falcon 9 at Cape Canaveral, by SpaceX, released into the public domain.
* `astronaut`: Eileen Collins, NASA Great Images database, no known copyright restrictions,
  public domain.
* `chelsea`: Chelsea the cat, by Stefan van der Walt, CC0.

The clip itself, its tune included, may be used by anyone for anything (CC0).

The pictures are in color, so the truth is known: `--color` writes the same film with the colors
that the pictures really have. It is what to hold a colored clip against; mind that a colorizer
cannot know that a space suit is orange.

Random numbers are seeded: running it again makes the same frames, whatever the machine; the bytes
of the file may differ with another version of the encoders.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from skimage import data

HEIGHT, WIDTH = 480, 640
RATE = 24
SHOT_FRAMES = 72
TITLE = "Three pictures, an example for vidcolor"

SOUND_RATE = 32000
SOUND_FRAME = 1024

GRAIN_CODES = 3.2
GRAIN_BLUR_PX = 0.8
FLICKER = 0.012
GATE_WEAVE_PX = 0.35
SEED = 1895

# R'G'B' 0..255 to Y'CbCr codes, BT.601, limited range.
YCBCR = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
BT601, LIMITED = 6, 1

Plane = npt.NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """What the camera sees: the center and the width of a 4:3 window, in picture pixels."""

    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Shot:
    """A picture under a moving camera, with something that moves before it.

    Attributes:
        title: Name of the chapter.
        back: (H, W, 3) R'G'B' 0..255.
        start: First view.
        end: Last view.
        front: Like `back`; what moves against it.
        front_mask: (H, W) 0..1, where `front` is.
        front_path: (x, y) by which the front is moved at the first and at the last frame, px.
    """

    title: str
    back: Plane
    start: View
    end: View
    front: Plane | None = None
    front_mask: Plane | None = None
    front_path: tuple[tuple[float, float], tuple[float, float]] = ((0, 0), (0, 0))


def cut_out_person(picture: npt.NDArray[np.uint8]) -> Plane:
    """(H, W) 0..1: the astronaut, between what surely is and what may be her, drawn by hand."""
    surely = [190, 60, 240, 40, 280, 70, 270, 120, 240, 170, 300, 260, 330, 330, 340, 420, 440, 380]
    surely += [480, 430, 480, 505, 55, 505, 45, 430, 55, 330, 130, 240, 180, 160, 190, 120]
    maybe = [150, 60, 175, 25, 225, 14, 275, 25, 300, 70, 292, 115, 275, 140, 315, 170, 322, 230]
    maybe += [345, 262, 400, 345, 470, 345, 511, 420, 511, 511, 10, 511, 10, 460, 20, 330, 80, 220]
    maybe += [110, 170, 165, 140, 150, 100]
    mask = np.full(picture.shape[:2], cv2.GC_BGD, np.uint8)
    cv2.fillPoly(mask, [np.array(maybe, np.int32).reshape(-1, 2)], cv2.GC_PR_FGD)
    around = cv2.dilate((mask == cv2.GC_PR_FGD).astype(np.uint8), np.ones((15, 15), np.uint8))
    mask[(around > 0) & (mask == cv2.GC_BGD)] = cv2.GC_PR_BGD
    cv2.fillPoly(mask, [np.array(surely, np.int32).reshape(-1, 2)], cv2.GC_FGD)
    cv2.setRNGSeed(SEED)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(picture, mask, None, *models, 4, cv2.GC_INIT_WITH_MASK)
    inside = (mask & 1).astype(np.float32)
    return cv2.GaussianBlur(inside, (0, 0), 1.2)


def make_shots() -> list[Shot]:
    """The three shots."""
    rocket, person, cat = (
        np.ascontiguousarray(picture[..., :3])
        for picture in (data.rocket(), data.astronaut(), data.chelsea())
    )
    mask = cut_out_person(person)
    hole = (cv2.dilate(mask, np.ones((15, 15), np.uint8)) > 0.01).astype(np.uint8)
    behind = cv2.inpaint(person, hole, 5, cv2.INPAINT_TELEA)
    return [
        Shot("Evening", as_float(rocket), View(300, 240, 440), View(345, 195, 540)),
        Shot(
            "The astronaut",
            as_float(behind),
            View(262, 165, 424),
            View(238, 143, 340),
            as_float(person),
            mask,
            ((-9.0, 3.0), (11.0, 1.0)),
        ),
        Shot("The cat", as_float(cat), View(252, 152, 392), View(214, 140, 320)),
    ]


def as_float(picture: npt.NDArray[np.uint8]) -> Plane:
    """The same in float32."""
    return picture.astype(np.float32)


def ease(part: float) -> float:
    """0..1 to 0..1, slow at both ends."""
    return part * part * (3 - 2 * part)


def between(start: float, end: float, part: float) -> float:
    """From `start` to `end`."""
    return start + (end - start) * part


def look(picture: Plane, view: View, moved: tuple[float, float] = (0.0, 0.0)) -> Plane:
    """What the camera sees of a picture that was moved, at the size of the film."""
    scale = WIDTH / view.width
    matrix = np.array(
        [
            [scale, 0, WIDTH / 2 - scale * (view.x - moved[0]) - 0.5 + scale / 2],
            [0, scale, HEIGHT / 2 - scale * (view.y - moved[1]) - 0.5 + scale / 2],
        ]
    )
    return cv2.warpAffine(
        picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )


def shoot(shot: Shot, number: int, weave: tuple[float, float]) -> Plane:
    """(H, W, 3) R'G'B' 0..255 of frame `number` of a shot."""
    part = ease(number / (SHOT_FRAMES - 1))
    view = View(
        between(shot.start.x, shot.end.x, part) + weave[0],
        between(shot.start.y, shot.end.y, part) + weave[1],
        between(shot.start.width, shot.end.width, part),
    )
    seen = look(shot.back, view)
    if shot.front is not None and shot.front_mask is not None:
        (x0, y0), (x1, y1) = shot.front_path
        moved = between(x0, x1, part), between(y0, y1, part)
        weight = np.clip(look(shot.front_mask, view, moved), 0, 1)[..., None]
        seen = seen * (1 - weight) + look(shot.front, view, moved) * weight
    return np.clip(seen, 0, 255)


def film(shots: list[Shot]) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
    """Frames as (luma codes, true chroma codes at half size); the luma is that of old film."""
    random = np.random.default_rng(SEED)
    exposure = 1.0
    for shot in shots:
        for number in range(SHOT_FRAMES):
            weave = tuple(random.normal(0, GATE_WEAVE_PX, 2))
            codes = shoot(shot, number, weave) / 255 @ YCBCR.T.astype(np.float32)
            exposure += 0.5 * (1 - exposure) + random.normal(0, FLICKER)
            noise = random.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32)
            noise = cv2.GaussianBlur(noise, (0, 0), GRAIN_BLUR_PX)
            noise *= GRAIN_CODES / noise.std()
            part = codes[..., 0] / 219
            weight = 0.4 + 2.4 * part * (1 - part)  # grain shows most in the middle tones
            luma = 16 + codes[..., 0] * exposure + noise * weight
            small = cv2.resize(
                codes[..., 1:], (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA
            )
            yield (
                np.clip(np.rint(luma), 16, 235).astype(np.uint8),
                np.clip(np.rint(small + 128), 16, 240).astype(np.uint8),
            )


def tune(seconds: float) -> npt.NDArray[np.float32]:
    """(samples,) -1..1: a slow figure on a music box, faded in and out."""
    chords = [(0, 4, 7, 12), (-3, 0, 4, 9), (-7, 0, 5, 9), (-5, -1, 2, 7)]
    order = (0, 2, 1, 3, 2, 1)
    note_s = 0.25
    total = int(seconds * SOUND_RATE)
    sound = np.zeros(total + SOUND_RATE * 3)
    time = np.arange(SOUND_RATE * 2) / SOUND_RATE
    for count in range(int(seconds / note_s)):
        chord = chords[count // len(order) % len(chords)]
        pitch = 392.0 * 2 ** (chord[order[count % len(order)]] / 12)
        note = sum(
            level * np.sin(2 * np.pi * pitch * partial * time) * np.exp(-time * decay)
            for partial, level, decay in ((1, 1.0, 3.0), (2, 0.35, 5.0), (3.01, 0.12, 9.0))
        )
        first = int(count * note_s * SOUND_RATE)
        sound[first : first + len(time)] += note * np.minimum(1, time / 0.004)
    sound = sound[:total]
    fade = np.minimum(
        1, np.minimum(np.arange(total), total - np.arange(total)) / (0.6 * SOUND_RATE)
    )
    return (0.25 * sound * fade / np.abs(sound).max()).astype(np.float32)


def write(path: Path, shots: list[Shot], color: bool) -> None:
    """Encode the film; with `color`, the true one."""
    with av.open(path, "w", options={"fflags": "+bitexact", "movflags": "+faststart"}) as out:
        out.metadata["title"] = TITLE
        second = Fraction(1, 1)
        length = SHOT_FRAMES // RATE
        out.set_chapters(
            [
                {
                    "id": number,
                    "start": number * length,
                    "end": (number + 1) * length,
                    "time_base": second,
                    "metadata": {"title": shot.title},
                }
                for number, shot in enumerate(shots)
            ]
        )
        options = {"preset": "veryslow", "crf": "25", "threads": "1", "flags": "+bitexact"}
        picture = out.add_stream("libx264", rate=RATE, options=options)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        context = picture.codec_context
        context.time_base = Fraction(1, RATE)
        context.colorspace = context.color_primaries = context.color_trc = BT601
        context.color_range = LIMITED
        sound = out.add_stream(
            "aac", rate=SOUND_RATE, layout="mono", options={"flags": "+bitexact"}
        )
        sound.bit_rate = 56000
        sound.metadata["language"] = "zxx"  # ISO 639-2: no words in it
        write_sound(out, sound, tune(len(shots) * SHOT_FRAMES / RATE))
        for number, (luma, chroma) in enumerate(film(shots)):
            neutral = np.full_like(chroma, 128)
            frame = make_frame(luma, chroma if color else neutral)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(picture.encode(frame))
        out.mux(picture.encode(None))


def write_sound(out: Any, stream: Any, sound: npt.NDArray[np.float32]) -> None:
    """Encode the tune."""
    for first in range(0, len(sound), SOUND_FRAME):
        part = sound[None, first : first + SOUND_FRAME]
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SOUND_RATE, first
        frame.time_base = Fraction(1, SOUND_RATE)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def make_frame(luma: npt.NDArray[np.uint8], chroma: npt.NDArray[np.uint8]) -> av.VideoFrame:
    """Planes laid into a frame."""
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane, codes in zip(frame.planes, (luma, chroma[..., 0], chroma[..., 1]), strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        rows[:, : plane.width] = codes
    return frame


def main() -> None:
    """Command line."""
    root = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "output", nargs="?", type=Path, default=root / "examples" / "example.mp4", metavar="OUTPUT"
    )
    parser.add_argument("--color", type=Path, metavar="FILE", help="also write the true colors")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    shots = make_shots()
    write(given.output, shots, color=False)
    print(f"{given.output}: {given.output.stat().st_size / 1e6:.2f} MB")
    if given.color:
        write(given.color, shots, color=True)
        print(f"{given.color}: {given.color.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
