"""A film of three short shots with sound, and its color script."""

from __future__ import annotations

import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

RATE = 25
LENGTHS = (13, 14, 10)  # key frames nearer than half a second are none to a sketch
SIZE = (96, 160)
SETTINGS = {
    "device": "cpu",
    "precision": "float32",
    "colorize": {"short_side": 64},
    "hints": {"short_side": 64},
    "detect": {"detector": "motion"},
}


def _texture(seed: int, low: float, high: float, sigma: float, size) -> np.ndarray:
    draw = np.random.default_rng(seed).uniform(0, 1, size).astype(np.float32)
    smooth = cv2.GaussianBlur(draw, (0, 0), sigma)
    return low + (high - low) * (smooth - smooth.min()) / np.ptp(smooth)


def picture(frame: int) -> np.ndarray:
    """Luma of a frame: a place of its own for each shot, and something that moves through it."""
    shot = 0
    while frame >= LENGTHS[shot]:
        frame -= LENGTHS[shot]
        shot += 1
    luma = _texture(shot, 20 + 60 * shot, 90 + 60 * shot, 3.0, SIZE)
    x = 10 + 5 * frame
    luma[30:70, x : x + 36] = _texture(9, 225 - 90 * shot, 245 - 90 * shot, 2.0, (40, 36))
    return luma.astype(np.uint8)


def make_film(path: Path, sound: bool = True) -> Path:
    """H.264 with a key frame at the beginning of each shot; a tone that starts with shot 1."""
    starts = {sum(LENGTHS[:n]) for n in range(len(LENGTHS))}
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"crf": "10", "preset": "fast"})
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        tone = out.add_stream("aac", rate=48000, layout="mono") if sound else None
        for number in range(sum(LENGTHS)):
            frame = av.VideoFrame.from_ndarray(picture(number), "gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            frame.pict_type = 1 if number in starts else 0
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if tone is not None:
            count = sum(LENGTHS) * 48000 // RATE
            wave = np.sin(np.arange(count) * 0.06).astype(np.float32) * 0.5
            wave[: LENGTHS[0] * 48000 // RATE] = 0
            samples = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
            samples.sample_rate, samples.pts, samples.time_base = 48000, 0, Fraction(1, 48000)
            resampler = av.AudioResampler("fltp", "mono", 48000, 1024)
            for part in [*resampler.resample(samples), *resampler.resample(None)]:
                out.mux(tone.encode(part))
            out.mux(tone.encode(None))
    return path


def make_script(film: Path, more: str = "", lengths=LENGTHS) -> Path:
    """Its script, with the shots as they are, or as a person cut them."""
    with av.open(str(film)) as opened:
        stream = opened.streams.video[0]
        pts = sorted(packet.pts for packet in opened.demux(stream) if packet.size)
        tick = Fraction(stream.time_base)
    text = f'version = 1\n\n[source]\nname = "{film.name}"\nframes = {len(pts)}\n'
    text += f'duration = "0:00:01.480"\ntime_base = "{tick}"\n'
    first = 0
    for number, length in enumerate(lengths):
        last = first + length - 1
        text += f"\n[[shots]]\nnumber = {number}\nstart = {first}\nend = {last}\n"
        text += f"pts = {pts[first]}\nend_pts = {pts[last]}\n"
        first = last + 1
    path = film.with_suffix(".vidcolor")
    path.write_text(text + more)
    return path


class Heard:
    """Events, as they come."""

    def __init__(self) -> None:
        self.events: list[dict] = []
        self._lock = threading.Lock()

    def __call__(self, event) -> None:
        with self._lock:
            self.events.append(dict(event))

    def of(self, kind: str) -> list[dict]:
        with self._lock:
            return [event for event in self.events if event["kind"] == kind]


def until(true, seconds: float = 30.0):
    """Wait for something; gives it."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
    return found


def pixels(data: bytes) -> np.ndarray:
    """(h, w, 3) or (h, w, 4) of a picture file, R'G'B'."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return found[..., [2, 1, 0, 3][: found.shape[2]]]


def frames_of(path: Path) -> list[np.ndarray]:
    """Planes Y, U and V of every frame, as one array each, by PyAV alone."""
    with av.open(str(path)) as film:
        return [frame.to_ndarray() for frame in film.decode(film.streams.video[0])]
