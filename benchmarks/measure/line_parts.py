"""One measurement of the line, or of the floor, in this process."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from measure.clocks import (
    StageClock,
    Traffic,
    device_memory_mb,
    device_wait,
    peak_memory_mb,
    reset_device_memory,
)
from measure.encoding import Encoder, EncoderSettings
from measure.settings import duration, read_flags, warm_up_frames

KINDS = ("line", "bare", "transcode", "stages")
BEFORE = ("decode", "cut", "restore", "detect", "track")
AFTER = (
    "see_whole", "colorize", "refer", "anchor", "remember", "stabilize", "tone", "obey", "grade",
)  # fmt: skip
STAGES = (*BEFORE, *AFTER)
ENDS = ("compose", "encode")


def measure_line(clip: Path, folder: Path, config: Any, warm_up: Any) -> dict[str, float]:
    """The whole line as users run it; `start_s` is until the first frame can be asked for."""
    from vidcolor.api import open_job
    from vidcolor.cli.loading import share_cores

    share_cores()

    open_job(clip, folder / "warm.mkv", warm_up).run(lambda count: None)
    reset_device_memory()
    before = time.perf_counter()
    job = open_job(clip, folder / "line.mkv", config)
    ready, worked = time.perf_counter(), time.process_time()
    frames = job.run(lambda count: None)
    return {
        "frames": frames,
        "start_s": ready - before,
        "seconds": time.perf_counter() - ready,
        "processor_s": time.process_time() - worked,
    }


def measure_bare(clip: Path, folder: Path, config: Any, warm_up: Any) -> dict[str, float]:
    """The whole line without its network."""
    from measure.bare import changed_lines, without_network

    with changed_lines(without_network({})):
        return measure_line(clip, folder, config, warm_up)


def measure_transcode(
    clip: Path, frames: int | None, settings: EncoderSettings
) -> dict[str, float | None]:
    """Decode and encode, nothing else; without torch in memory."""
    import av

    count = 0
    seconds = worked = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for most in (warm_up_frames(frames), frames):
            count = 0
            before, then = time.perf_counter(), time.process_time()
            encoder = Encoder(Path(folder) / "transcode.mkv", settings)
            with av.open(clip) as film:
                stream = film.streams.video[0]
                stream.thread_type = "AUTO"
                for frame in itertools.islice(film.decode(stream), most):
                    if frame.format.name != settings.pix_fmt:
                        frame = frame.reformat(format=settings.pix_fmt)
                    frame.pict_type = 0  # else the source's picture types are forced
                    encoder.put(frame)
                    count += 1
            encoder.close()
            seconds, worked = time.perf_counter() - before, time.process_time() - then
    memory = peak_memory_mb()
    return {
        "frames": count,
        "seconds": seconds,
        "processor_s": worked,
        "peak_memory_mb": memory,
        "device_memory_mb": None,
    }


def measure_stages(clip: Path, folder: Path, config: Any, warm_up: Any) -> dict[str, Any]:
    """Seconds of each stage by itself, and the bytes that leave it."""
    from vidcolor.build import build_line

    wait = device_wait(config)
    line = build_line(config)
    run_stages(line, clip, folder, warm_up, StageClock(wait))
    reset_device_memory()
    traffic, asked = Traffic(), Asked()
    clock = StageClock(wait, watch=traffic)
    with asked.watching(line):
        before, worked = time.perf_counter(), time.process_time()
        frames = run_stages(line, clip, folder, config, clock)
        seconds, worked = time.perf_counter() - before, time.process_time() - worked
    return {
        "frames": frames,
        "seconds": seconds,
        "processor_s": worked,
        "stages": clock.seconds,
        "bytes": traffic.per_frame(frames) | asked.per_frame(frames),
        "asked": {"frames": asked.frames, "crops": asked.crops},
    }


class Asked:
    """What the networks of a line are asked, and what they answer.

    Attributes:
        frames: How many they were shown.
        crops: How many close-ups.
        up: Bytes that go to them.
        down: Bytes that come back.
    """

    def __init__(self) -> None:
        self.frames = self.crops = self.up = self.down = 0

    def watching(self, line: Any) -> Any:
        """A context in which it counts."""
        from measure.bare import networks

        hooks = contextlib.ExitStack()
        for stage in networks(line):
            hook = stage.model.register_forward_hook(self._count, with_kwargs=True)
            hooks.callback(hook.remove)
        return hooks

    def per_frame(self, frames: int) -> dict[str, dict[str, int]]:
        """As `Traffic.per_frame`."""
        return {"network": {"up": round(self.up / frames), "down": round(self.down / frames)}}

    def _count(self, module: Any, given: tuple[Any, ...], named: dict[str, Any], ab: Any) -> None:
        lightness = given[0] if given else named["lightness"]
        rois = given[1] if len(given) > 1 else named.get("rois")
        self.frames += len(lightness)
        self.up += lightness.nbytes
        self.down += ab.nbytes
        if rois is not None:
            self.crops += len(rois)
            self.up += rois.crops.nbytes


def follow_frames(line: Any, frames: Iterable[Any], clock: StageClock) -> Iterator[Any]:
    """The line as far as the tracks, each stage under a clock."""
    frames = clock.items("decode", frames)
    frames = clock.items("cut", line.cut(frames))
    frames = clock.items("restore", line.restore(frames))
    seen = clock.items("detect", line.detect(frames))
    return clock.items("track", line.track(seen))


def color_frames(line: Any, tracked: Iterable[Any], clock: StageClock) -> Iterator[Any]:
    """The rest of the line, each stage under a clock."""
    tracked = clock.items("see_whole", line.see_whole(tracked))
    colored = clock.items("colorize", line.colorize(tracked))
    colored = (clock.call("refer", line.refer, batch) for batch in colored)
    colored = clock.items("anchor", line.anchor(colored))
    colored = clock.items("remember", line.remember(colored))
    colored = clock.items("stabilize", line.stabilize(colored))
    colored = clock.items("tone", line.tone(colored))
    colored = (clock.call("obey", line.obey, batch) for batch in colored)
    return (clock.call("grade", line.grade, batch) for batch in colored)


def run_stages(line: Any, clip: Path, folder: Path, config: Any, clock: StageClock) -> int:
    """The line in one thread under a clock; returns the number of frames."""
    from vidcolor.io.video import VideoReader

    with VideoReader(clip, config.input) as reader:
        colored = color_frames(line, follow_frames(line, reader, clock), clock)
        return end_frames(colored, reader.info, folder, config, clock)


def end_frames(
    colored: Iterable[Any], info: Any, folder: Path, config: Any, clock: StageClock
) -> int:
    """What comes after the line, under a clock; returns the number of frames."""
    import av

    from vidcolor.io.frame_planes import ColoredPlanes
    from vidcolor.io.picture import PictureEncoder

    count = 0
    layer = ColoredPlanes(config.compose)
    encoding = layer.encoding(Path("any.mkv"), info, config.output)
    with av.open(folder / "stages.mkv", "w", format=encoding.container) as out:
        encoder = PictureEncoder(out, encoding, info)
        for batch in colored:
            for number, pts in enumerate(batch.frames.pts):
                planes = clock.call("compose", layer.lay, batch, number, encoding)
                out.mux(clock.call("encode", encoder.encode, planes, pts))
                count += 1
        out.mux(clock.call("encode", encoder.flush))
    return count


def measure(kind: str, clip: Path, frames: int | None, flags: list[str]) -> dict[str, Any]:
    """One measurement of the line, in this process."""
    from vidcolor.io.video import VideoReader

    with VideoReader(clip) as reader:
        rate = reader.info.rate
    config = read_flags(flags, duration(frames, rate))
    warm_up = read_flags(flags, duration(warm_up_frames(frames), rate))
    how = {"line": measure_line, "bare": measure_bare, "stages": measure_stages}[kind]
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = how(clip, Path(folder), config, warm_up)
    found["peak_memory_mb"] = peak_memory_mb()
    found["device_memory_mb"] = device_memory_mb()
    return found


def encoder_settings(clip: Path, flags: list[str]) -> EncoderSettings:
    """What the line tells its encoder for a clip."""
    from vidcolor.io.video import VideoReader

    with VideoReader(clip) as reader:
        return EncoderSettings.of_line(reader.info, read_flags(flags, None).output)
