"""What a Python program calls: color a video, a picture, a folder of pictures."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidcolor.build import Download, build_line
from vidcolor.color.compose import compose_rgb
from vidcolor.config import ALONE, SHORT_NAMES, Config
from vidcolor.distributed.engine import Engine, StoredFilm
from vidcolor.errors import ConfigError, GuidanceError, MediaError
from vidcolor.guided import Film, Said, find_guidance, read_said
from vidcolor.io.image import is_image, list_images, read_image, still_frame, write_image
from vidcolor.io.pipe.ends import is_pipe, must_be_file
from vidcolor.io.prefetch import prefetch
from vidcolor.io.target import Target
from vidcolor.io.video import VideoReader
from vidcolor.piped import open_pipe
from vidcolor.pipeline import Pipeline
from vidcolor.plain import PlainFilm
from vidcolor.records import FrameBatch
from vidcolor.repair.sheet import Tally
from vidcolor.restoration import Findings, open_restoration
from vidcolor.schema import load, merge, put, to_dict
from vidcolor.scripted import ScriptedFilm
from vidcolor.stages.cut import list_shots
from vidcolor.stages.detect import boxes_line
from vidcolor.stages.shots_file import shots_to_json

__all__ = [
    "Job",
    "colorize_image",
    "colorize_video",
    "detect_rows",
    "find_shots",
    "make_config",
    "open_job",
    "open_plan",
    "restore_video",
    "write_text",
]

_log = logging.getLogger(__name__)
_AHEAD = 2  # batches decoded before they are asked for

Progress = Callable[[int], None]


def make_config(base: Config | None = None, **options: Any) -> Config:
    """A config from keyword arguments.

    Args:
        base: What the options are laid over; the defaults if None.
        **options: Short names (`crf=20`, `detector="none"`), tables by stage
            (`stabilize={"tau": 4.0}`), or `stabilize=False`: every frame by itself.

    Raises:
        ConfigError: For an unknown key, a wrong type or a value out of range.
    """
    return load(Config, merge(to_dict(base) if base else {}, _data(options)), "options")


def _data(options: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in options.items():
        if key == "stabilize" and isinstance(value, bool):
            data = data if value else merge(ALONE, data)
        elif key in SHORT_NAMES and not isinstance(value, Mapping):
            put(data, SHORT_NAMES[key], value)
        else:
            data[key] = merge(data.get(key, {}), value) if isinstance(value, Mapping) else value
    return data


@dataclass(frozen=True, slots=True)
class Job:
    """Something to color, checked and ready to run.

    Attributes:
        unit: What is counted: "frame" or "picture".
        total: About how many, if known.
        run: Does it; tells `progress` of every few done, returns how many were done.
    """

    unit: str
    total: int | None
    run: Callable[[Progress], int]


def open_job(
    source: Path,
    output: Path,
    config: Config,
    download: Download | None = None,
    fresh: bool = False,
    engine: Engine | None = None,
) -> Job:
    """Look at what is asked for and build the line, before anything is written.

    Args:
        source: A video, a picture, or a folder of pictures.
        output: Where it goes: the same kind.
        config: All settings.
        download: Told of bytes done and total when weights are fetched.
        fresh: Of a video, forget what is finished from before.
        engine: Colors a video with many workers; None: this process does.

    Raises:
        VidcolorError: If the source cannot be read, the output not be made, or a setting or
            weights do not fit.
    """
    if is_pipe(source) or is_pipe(output):
        return _video_job(source, output, config, download, fresh, engine)
    if source.is_dir():
        return _folder_job(source, output, config, download)
    if is_image(source):
        if output.suffix and not is_image(output):
            raise MediaError(f"{output}: {source.name} is a picture; write to .png, .jpg or .tiff")
        return _picture_job([source], [output], config, download)
    return _video_job(source, output, config, download, fresh, engine)


def _video_job(
    source: Path,
    output: Path,
    config: Config,
    download: Download | None,
    fresh: bool = False,
    engine: Engine | None = None,
) -> Job:
    if is_pipe(source) or is_pipe(output):
        if engine is not None:
            raise ConfigError("many workers read and write files, not pipes; leave --engine out")
        piped = open_pipe(source, output, config, download)
        return Job("frame", piped.total, piped.run)
    with VideoReader(source, config.input) as reader:
        total = reader.frames_estimate
        if reader.has_color:
            _log.info("%s already has color: recolored from its luma", source.name)
    film = PlainFilm(source, config, download)
    total = None if total is None else total * (1 + film.passes)
    if engine is not None:
        return Job("frame", total, _by_engine(engine, film, output, fresh))
    return Job("frame", total, lambda progress: film.render(output, progress, fresh))


def _by_engine(
    engine: Engine, film: StoredFilm, output: Path, fresh: bool
) -> Callable[[Progress], int]:
    def run(progress: Progress) -> int:
        if fresh:
            film.forget(output)
        return engine.render(film, output, progress)

    return run


def open_plan(
    source: Path,
    output: Path,
    plan: Path,
    layers: Sequence[Mapping[str, Any]] = (),
    download: Download | None = None,
    fresh: bool = False,
    engine: Engine | None = None,
) -> Job:
    """A film colored as its color script says, shot by shot.

    Finished shots are kept in `OUTPUT.parts`; what has not changed since is not colored again.

    Args:
        source: A video.
        output: Where it goes.
        plan: The script.
        layers: Settings of the config file, the environment and the flags; those of the script
            lie over the first.
        download: Told of bytes done and total when weights are fetched.
        fresh: Color all shots anew.
        engine: As for `open_job`.

    Raises:
        VidcolorError: As `open_job`, and if the script is not as it should be or for another film.
    """
    for path in (source, output):
        must_be_file(path, "a color script")
    film = ScriptedFilm.open(source, plan, layers)
    film.check(download)
    total = film.shots[-1].end + 1
    if engine is not None:
        return Job("frame", total, _by_engine(engine, film, output, fresh))

    def run(progress: Progress) -> int:
        done = film.render(output, progress, download, fresh)
        _log.info("shots: %d colored, %d as before", len(done.made), len(done.found))
        return done.frames

    return Job("frame", total, run)


def _folder_job(source: Path, output: Path, config: Config, download: Download | None) -> Job:
    pictures = list_images(source)
    if output.exists() and not output.is_dir():
        raise MediaError(f"{output}: exists and is no folder; give a folder for the pictures")
    if output.exists() and output.samefile(source):
        raise MediaError(f"{output}: is the input folder; give another one")
    return _picture_job(pictures, [output / path.name for path in pictures], config, download)


def _picture_job(
    sources: list[Path], outputs: list[Path], config: Config, download: Download | None
) -> Job:
    if not config.output.overwrite:
        for path in outputs:
            if path.exists():
                raise MediaError(f"{path}: exists; add --overwrite to replace it")
    said = _said_of_stills(config)
    if said.hints and len(sources) > 1:
        raise GuidanceError("hints are for one film or picture, not for a folder of pictures")
    line = build_line(config, still=True, download=download)

    def run(progress: Progress) -> int:
        for source, path in zip(sources, outputs, strict=True):
            frame, info = read_image(source)
            if info.has_color:
                _log.info("%s already has color: recolored from its luma", source.name)
            rgb = _color_still(line, frame, config, said, info.bits)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, rgb, info, overwrite=config.output.overwrite)
            progress(1)
        return len(sources)

    return Job("picture", len(sources), run)


def _said_of_stills(config: Config) -> Said:
    if config.guidance.tracks is not None:
        raise GuidanceError("tracks are those of a film; a picture has none")
    said = read_said(config)
    for where, hint in said.hints.entries:
        if hint.object is not None:
            raise GuidanceError(f"{where}: tracks are those of a film; a picture has none")
    return said


def _color_still(
    line: Pipeline, frames: FrameBatch, config: Config, said: Said, bits: int
) -> npt.NDArray[Any]:
    film = Film(lambda: contextlib.nullcontext([frames]), line)
    with find_guidance(film, said, config, _ignore) as guidance:
        own = build_line(config, still=True, guidance=guidance) if said else line
        (colored,) = own([frames])
    return compose_rgb(
        frames.luma[0, 0].numpy(),
        colored.chroma.ab[0].numpy(),
        colored.chroma.lightness[0, 0].numpy(),
        frames.info.color,
        config.compose,
        bits,
    )


def colorize_video(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    plan: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    engine: Engine | None = None,
    config: Config | None = None,
    **options: Any,
) -> int:
    """Color a video file; what an earlier call with the same settings has finished is taken.

    Luma is carried bit for bit, every frame keeps its time, all other streams pass as they are.

    Args:
        source: Any video that FFmpeg reads.
        output: `.mkv`, `.mp4` or `.mov`; written whole or not at all.
        progress: Told how many frames were finished, every batch.
        plan: A color script; only shots are colored that are not there as it wants them.
        fresh: Color all anew.
        engine: Many workers in place of this process: `distributed.ray_engine.RayEngine()`.
        config: Settings; defaults if None.
        **options: Laid over `config`, see `make_config`: `crf=20`, `hints="hints.json"`,
            `reference=["still.png"]`, ...

    Returns:
        Number of frames.

    Raises:
        VidcolorError: For anything wrong with the files or settings, in one line.
    """
    if plan is not None:
        layers = [to_dict(config) if config else {}, _data(options)]
        job = open_plan(Path(source), Path(output), Path(plan), layers, None, fresh, engine)
    else:
        settings = make_config(config, **options)
        job = _video_job(Path(source), Path(output), settings, None, fresh, engine)
    return job.run(progress or _ignore)


def restore_video(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None,
    *,
    findings: Findings | None = None,
    progress: Progress | None = None,
    config: Config | None = None,
    **options: Any,
) -> Tally:
    """Heal damage of a video file, without coloring it.

    Outside the final masks every code value stays the source's (written as `.mkv`, which is
    lossless), every frame keeps its time, all other streams pass as they are.

    Args:
        source: Any video that FFmpeg reads.
        output: `.mkv`, `.mp4` or `.mov`; None: only look.
        findings: Masks, spots and previews to write as well.
        progress: Told how many frames were finished, every batch.
        config: Settings; defaults if None.
        **options: Laid over `config`, see `make_config`: `sensitivity="high"`,
            `masks="masks"`, `restore={"lines": {"enabled": False}}`, ...

    Returns:
        Counts of what was found and changed.

    Raises:
        VidcolorError: For anything wrong with the files or settings, in one line.
    """
    settings = make_config(config, **options)
    where = None if output is None else Path(output)
    return open_restoration(Path(source), where, settings, findings).run(progress or _ignore)


@functools.lru_cache(maxsize=2)
def _still_line(config: Config) -> Pipeline:
    return build_line(config, still=True)


def colorize_image(
    picture: npt.NDArray[np.uint8], *, config: Config | None = None, **options: Any
) -> npt.NDArray[np.uint8]:
    """Color a picture; the network is loaded once when called again with the same settings.

    Args:
        picture: (H, W) gray or (H, W, 3) RGB, uint8. Of RGB only the luma (BT.709) is used.
        config: Settings; defaults if None.
        **options: Laid over `config`, see `make_config`.

    Returns:
        (H, W, 3) uint8 RGB with the same luma.

    Raises:
        ValueError: If `picture` has another shape or type.
        VidcolorError: If settings or weights do not fit.
    """
    if picture.dtype != np.uint8 or not (
        picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)
    ):
        raise ValueError(
            f"picture must be uint8 (H, W) or (H, W, 3), not {picture.dtype} {picture.shape}"
        )
    settings = make_config(config, **options)
    said = _said_of_stills(settings)
    return _color_still(_still_line(settings), still_frame(picture), settings, said, 8)


def detect_rows(source: Path, config: Config, download: Download | None = None) -> Iterator[str]:
    """What the line sees in a video, one JSON line a frame (see `stages.boxes_file`).

    Raises:
        VidcolorError: If the video cannot be read or a setting does not fit.
    """
    line = build_line(config, color=False, download=download)
    with VideoReader(source, config.input) as reader:
        for tracked in line.follow(line.shots(prefetch(reader, _AHEAD))):
            for number in range(len(tracked.frames)):
                yield boxes_line(tracked, number)


def find_shots(source: Path, config: Config, progress: Progress | None = None) -> str:
    """The shots of a video as JSON (see `stages.cut`).

    Raises:
        VidcolorError: If the video cannot be read.
    """
    with VideoReader(source, config.input) as reader:
        frames = _told(prefetch(reader, _AHEAD), progress or _ignore)
        return shots_to_json(list_shots(frames, config.cut))


def write_text(path: Path, lines: Iterable[str], overwrite: bool) -> None:
    """Write a text file whole or not at all.

    Raises:
        MediaError: If the file exists and is not to be replaced, or cannot be written.
    """
    target = Target(path, overwrite)
    try:
        with target.temporary.open("w", encoding="utf-8") as file:
            file.writelines(lines)
    except OSError as error:
        target.discard()
        raise (
            error
            if isinstance(error, MediaError)
            else MediaError(f"{path}: cannot be written: {error.strerror}")
        ) from None
    except BaseException:
        target.discard()
        raise
    target.land()


def _told(batches: Iterable[FrameBatch], progress: Progress) -> Iterator[FrameBatch]:
    for batch in batches:
        progress(len(batch))
        yield batch


def _ignore(count: int) -> None:
    pass
