"""Jobs that restore without coloring: films, pictures, and what repair found in them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vidcolor.build import build_cut, build_fill, build_repair
from vidcolor.config import Config
from vidcolor.errors import ConfigError, MediaError
from vidcolor.io.encode import VideoWriter
from vidcolor.io.frame_planes import ColoredPlanes
from vidcolor.io.image import is_image, list_images, write_image
from vidcolor.io.mask_writer import HolesWriter
from vidcolor.io.prefetch import prefetch
from vidcolor.io.source_planes import SourcePlanes
from vidcolor.io.still import Still, read_still, write_still
from vidcolor.io.target import Target
from vidcolor.io.video import VideoReader
from vidcolor.records import VideoInfo
from vidcolor.repair.heal.fill import Fill, fill_picture
from vidcolor.repair.overlay import overlay
from vidcolor.repair.records import Repaired, union
from vidcolor.repair.sheet import SpotSheet, Tally
from vidcolor.repair.spots_file import spot_lines

__all__ = ["Findings", "Restoration", "open_restoration"]

_log = logging.getLogger(__name__)
_AHEAD = 2  # batches decoded before they are asked for

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Findings:
    """Where to write what was found; None writes nothing.

    Attributes:
        masks: The final holes, white where damaged: a folder of PNG, a lossless `.mkv`, or of a
            picture a `.png`. What is changed lies inside.
        spots: JSON lines, one a spot, to be edited and given back.
        preview: `.png` for a sheet of the largest spots and the least sure ones, or a film in which
            damage is colored by its kind.
    """

    masks: Path | None = None
    spots: Path | None = None
    preview: Path | None = None

    def __bool__(self) -> bool:
        return not (self.masks is None and self.spots is None and self.preview is None)


@dataclass(frozen=True, slots=True)
class Restoration:
    """Something to restore, checked and ready to run.

    Attributes:
        unit: What is counted: "frame" or "picture".
        total: About how many, if known.
        run: Does it; tells `progress` of every few done, returns what was found and changed.
    """

    unit: str
    total: int | None
    run: Callable[[Progress], Tally]


def open_restoration(
    source: Path,
    output: Path | None,
    config: Config,
    findings: Findings | None = None,
) -> Restoration:
    """Look at what is asked for, before anything is written.

    Outside the final holes every code value of the output stays the source's, unless light is
    leveled, a shaking picture held, or the output is lossy.

    Args:
        source: A video, a picture, or a folder of pictures.
        output: The same kind: of a video `.mkv` (exact), `.mp4` or `.mov`. None: only look.
        config: All settings; those of the line that do not concern repair are not looked at.
        findings: What else to write.

    Raises:
        VidcolorError: For anything wrong with the files or settings, in one line.
    """
    wanted = findings or Findings()
    if source.is_dir():
        if wanted:
            raise ConfigError("masks, spots and previews are of one film or picture; name one")
        pictures = list_images(source)
        if output is not None and output.exists() and not output.is_dir():
            raise MediaError(f"{output}: exists and is no folder; give a folder for the pictures")
        outputs = [None if output is None else output / path.name for path in pictures]
        return _pictures(pictures, outputs, config, wanted)
    if is_image(source):
        if output is not None and output.suffix and not is_image(output):
            raise MediaError(f"{output}: {source.name} is a picture; write to .png, .jpg or .tiff")
        return _pictures([source], [output], config, wanted)
    return _film(source, output, config, wanted)


def _film(
    source: Path,
    output: Path | None,
    config: Config,
    findings: Findings,
) -> Restoration:
    with VideoReader(source, config.input) as reader:
        total = reader.frames_estimate
    whole = config.input.duration is None
    repair, cut = build_repair(config, whole=whole), build_cut(config)
    span = (config.input.start, config.input.duration)

    def run(progress: Progress) -> Tally:
        tally = Tally()
        with contextlib.ExitStack() as stack:
            reader = stack.enter_context(VideoReader(source, config.input, keep_chroma=True))
            found = _observers(stack, source, reader.info, findings, config, tally)
            observers = [tally.add, *found]
            if output is not None:
                planes = SourcePlanes(reader.source_format)
                writer = stack.enter_context(
                    VideoWriter(output, source, reader.info, planes, config.output, span)
                )
                observers.append(lambda repaired: writer.write(repaired.frames))
            for repaired in repair(cut(prefetch(reader, _AHEAD))):
                for observe in observers:
                    observe(repaired)
                progress(len(repaired.frames))
        return tally

    return Restoration("frame", total, run)


def _pictures(
    sources: list[Path],
    outputs: list[Path | None],
    config: Config,
    findings: Findings,
) -> Restoration:
    for path in outputs:
        if path is not None and path.exists() and not config.output.overwrite:
            raise MediaError(f"{path}: exists; add --overwrite to replace it")
    repair = build_repair(config, still=True)
    cut = build_cut(config, still=True)
    complete, strength = build_fill(config), config.restore.heal.strength

    def run(progress: Progress) -> Tally:
        tally = Tally()
        for source, path in zip(sources, outputs, strict=True):
            still = read_still(source)
            frame = still.frame()
            with contextlib.ExitStack() as stack:
                found = _observers(stack, source, frame.info, findings, config, tally)
                observers = [tally.add, *found]
                (repaired,) = repair(cut([frame]))
                for observe in observers:
                    observe(repaired)
                if path is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    healed = _completed(still, repaired, complete, strength)
                    write_still(path, healed, overwrite=config.output.overwrite)
            progress(1)
        return tally

    return Restoration("picture", len(sources), run)


def _completed(still: Still, repaired: Repaired, fill: Fill, strength: float) -> Still:
    """The picture with its luma healed; of a color picture all channels are filled in holes."""
    luma = repaired.frames.luma[0, 0].numpy()
    if still.pixels.ndim == 2:
        return replace(still, pixels=luma.astype(still.pixels.dtype))
    spots = repaired.marked.spots[0]
    hole = union(spots, repaired.frames.info.size)
    filled = fill_picture(still.pixels, hole, fill).astype(np.float32)
    mixed = still.pixels + np.float32(strength) * (filled - still.pixels)
    return replace(still, pixels=np.rint(mixed).astype(still.pixels.dtype))


def _observers(
    stack: contextlib.ExitStack,
    source: Path,
    info: VideoInfo,
    findings: Findings,
    config: Config,
    tally: Tally,
) -> Iterator[Callable[[Repaired], None]]:
    """What looks at every batch, and writes files that land when the stack ends well."""
    overwrite = config.output.overwrite
    if findings.masks is not None:
        masks = stack.enter_context(HolesWriter(findings.masks, info, overwrite, [source]))
        yield lambda repaired: _write_masks(masks, repaired)
    if findings.spots is not None:
        put = stack.enter_context(_lines(findings.spots, overwrite))
        yield lambda repaired: put(spot_lines(repaired.marked))
    if findings.preview is None:
        return
    if findings.preview.suffix.lower() == ".png":
        yield stack.enter_context(_sheet(findings.preview, overwrite, tally))
        return
    span = (config.input.start, config.input.duration)
    planes = ColoredPlanes(config.compose)
    film = stack.enter_context(
        VideoWriter(findings.preview, source, info, planes, config.output, span)
    )
    yield lambda repaired: film.write(overlay(repaired))


def _write_masks(masks: HolesWriter, repaired: Repaired) -> None:
    frames = repaired.frames
    for number, spots in enumerate(repaired.marked.spots):
        masks.write(frames.index + number, union(spots, frames.info.size))


@contextlib.contextmanager
def _lines(path: Path, overwrite: bool) -> Iterator[Callable[[Iterable[str]], None]]:
    """A text file that gets its name when all went well."""
    target = Target(path, overwrite)
    try:
        with target.temporary.open("w", encoding="utf-8") as file:
            yield file.writelines
        target.land()
    except OSError as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        target.discard()


@contextlib.contextmanager
def _sheet(path: Path, overwrite: bool, tally: Tally) -> Iterator[Callable[[Repaired], None]]:
    Target(path, overwrite).discard()  # refused now, not after hours
    sheet = SpotSheet()
    yield sheet.add
    write_image(path, sheet.draw(tally), overwrite=overwrite)
