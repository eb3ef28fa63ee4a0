"""Making a set: every source once, each finished for itself, then all together."""

from __future__ import annotations

import functools
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from vidcolor.build import choose_device
from vidcolor.errors import ConfigError, GuidanceError, MediaError
from vidcolor.stages.base import Detect
from vidcolor.stages.detect import NoDetector, make_detector
from vidcolor.train.dataset.coco import CocoBoxes
from vidcolor.train.dataset.config import BuildConfig
from vidcolor.train.dataset.film import read_film
from vidcolor.train.dataset.finished import NAME, Recipe, read_finished, to_text
from vidcolor.train.dataset.pictures import read_pictures
from vidcolor.train.dataset.report import DROPPED, BuildReport, SourceReport
from vidcolor.train.dataset.shards import Item, gather, write_shards
from vidcolor.train.dataset.sheet import draw_sheet
from vidcolor.train.dataset.sources import Source, find_sources
from vidcolor.train.dataset.work import DiskError, Result, Work, disk

__all__ = ["BuildConfig", "BuildReport", "build_dataset"]

_log = logging.getLogger(__name__)

_WORK = ".work"
_SHEET = "sheet.png"

Progress = Callable[[int], None]
Download = Callable[[int, int | None], None]


def build_dataset(
    sources: Sequence[str | Path],
    out: str | Path,
    config: BuildConfig | None = None,
    *,
    progress: Progress | None = None,
    download: Download | None = None,
) -> BuildReport:
    """Make a set of color pictures for training.

    The folder gets `train-*.tar` and `val-*.tar` (members `KEY.jpg`, `KEY.json` and, of pairs,
    `KEY.next.jpg`: the layout that WebDataset reads), `manifest.jsonl`, `sheet.png` and, last of
    all, `dataset.toml`. Until then what is finished lies in `.work` there, a file for each source;
    a build that was killed goes on with the next one, and ends in the same bytes as if it had not
    been. The same sources and settings make the same set; a set that is there already is left as
    it is.

    Args:
        sources: Films, pictures, folders of them, tar shards of pictures.
        out: The folder of the set.
        config: What is taken and how it is stored; the defaults if None.
        progress: Told how many frames or pictures were read.
        download: Told of bytes done and total when a detector's weights are fetched.

    Raises:
        ConfigError: If the folder holds another set or other files, or a setting does not fit.
        MediaError: If a source is missing or damaged (after all others are finished), nothing is
            left of them, or the disk is full.
        GuidanceError: If a file of boxes or shots is not as it should be.
        WeightsError: If weights of a detector that was asked for are missing.
    """
    config, out = config or BuildConfig(), Path(out).expanduser()
    found = find_sources(sources, out)
    _check(config, found)
    recipe = Recipe.of(config, found)
    work = Work(out / _WORK)
    report = read_finished(out, recipe)
    if report is None:
        if out.exists() and not out.is_dir():
            raise ConfigError(f"{out}: is no folder; give a new one")
        if out.exists() and any(out.iterdir()) and not work.folder.is_dir():
            raise ConfigError(f"{out}: holds other files; give a new folder")
        _read_all(recipe, config, work, progress or _ignore, download)
        report = _finish(recipe, config, work, out)
    shutil.rmtree(work.folder, ignore_errors=True)
    return report


def _ignore(count: int) -> None:
    pass


def _check(config: BuildConfig, sources: Sequence[Source]) -> None:
    films = sum(source.kind == "film" for source in sources)
    for what, given in (
        ("--detector boxes:FILE", config.detect.detector.startswith("boxes:")),
        ("--cut.shots_file", config.cut.shots_file is not None),
    ):
        if given and films != 1:
            raise ConfigError(
                f"{what} belongs to one film, but there are {films} among the sources"
            )


def _read_all(
    recipe: Recipe,
    config: BuildConfig,
    work: Work,
    progress: Progress,
    download: Download | None,
) -> None:
    """Finish every source that is not yet."""
    coco = CocoBoxes(config.coco)
    _check_coco(coco, recipe.sources)
    detectors = _Detectors(config, download)
    broken: list[str] = []
    for source in recipe.sources:
        key = recipe.key(source)
        if work.has(key) and (config.keep_partial or not work.read(key).broken):
            continue
        try:
            _read(source, config, coco, detectors, work, key, progress)
        except DiskError:
            raise
        except MediaError as error:
            _log.warning("%s", error)
            broken.append(str(error))
    if broken:
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise MediaError(
            f"{broken[0]}{more}; the other sources are finished and kept in {work.folder}: mend "
            "it or leave it out and run again, or add --keep-partial to take what can be read"
        )


def _check_coco(coco: CocoBoxes, sources: Sequence[Source]) -> None:
    if not coco or any(source.kind == "shard" for source in sources):
        return
    paths = (path for one in sources if one.kind == "pictures" for path in one.paths)
    if not any(coco.knows(path.resolve().as_posix()) for path in paths):
        raise GuidanceError(
            "none of the pictures is in the COCO files; expected file_name to be the end of a "
            "picture's path"
        )


def _read(
    source: Source,
    config: BuildConfig,
    coco: CocoBoxes,
    detectors: _Detectors,
    work: Work,
    key: str,
    progress: Progress,
) -> None:
    with work.writer(key) as writer:
        try:
            if source.kind == "film":
                read_film(source, config, detectors.film, writer, progress)
            else:
                read_pictures(source, config, coco, detectors.still, writer, progress)
        except DiskError:
            raise
        except MediaError as error:
            if not config.keep_partial:
                raise
            writer.broken = str(error)
        if writer.broken:
            _log.warning("%s; what could be read is taken", writer.broken)


class _Detectors:
    """Makes detectors when they are needed.

    Args:
        config: Says which.
        download: Told of bytes when weights are fetched.
    """

    def __init__(self, config: BuildConfig, download: Download | None) -> None:
        self._config = config
        self._download = download
        self.film = functools.lru_cache(maxsize=1)(self._film)
        self.still = functools.lru_cache(maxsize=1)(self._still)

    def _film(self, every: int) -> Detect:
        """For films, looking at every so many frames of a shot."""
        detect = replace(self._config.detect, every=every)
        return make_detector(detect, choose_device(self._config.device), False, self._download)

    def _still(self) -> Detect:
        """For pictures that have nothing to do with each other."""
        detect = self._config.detect
        if detect.detector == "motion" or detect.detector.startswith("boxes:"):
            return NoDetector()
        return make_detector(detect, choose_device(self._config.device), True, self._download)


def _finish(recipe: Recipe, config: BuildConfig, work: Work, out: Path) -> BuildReport:
    """All sources together: the set, under its names."""
    results = [work.read(recipe.key(source)) for source in recipe.sources]
    items = gather(results, config)
    folder = work.folder / "set"
    with disk(out):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    items = write_shards(items, folder, config)
    shards = tuple(sorted({item.shard for item in items}))
    report = BuildReport(out, tuple(_reports(recipe.sources, results, items)), shards)
    if not items:
        raise MediaError(_nothing(report))
    with disk(out):
        (folder / _SHEET).write_bytes(draw_sheet(items))
        (folder / NAME).write_text(to_text(recipe, config, report), encoding="utf-8")
        for path in folder.iterdir():
            _sync(path)
        for split in ("train", "val"):
            for stale in out.glob(f"{split}-*.tar"):  # of a build that was killed in this place
                stale.unlink()
        for path in sorted(folder.iterdir(), key=lambda path: path.name == NAME):
            path.replace(out / path.name)
        _sync(out)
    return report


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reports(
    sources: Sequence[Source], results: Sequence[Result], items: Sequence[Item]
) -> Iterator[SourceReport]:
    """One report a source; the portions of a folder are one."""
    for name, numbers in groupby(range(len(sources)), key=lambda number: sources[number].name):
        portions = list(numbers)
        counts = [results[number].counts for number in portions]
        mine = [item.split for item in items if portions[0] <= item.source <= portions[-1]]
        yield SourceReport(
            name=name,
            kind=sources[portions[0]].kind,
            frames=sum(count["frames"] for count in counts),
            looked=sum(count["looked"] for count in counts),
            dropped={why: sum(count[why] for count in counts) for why in DROPPED},
            train=mine.count("train"),
            val=mine.count("val"),
            broken=next((results[n].broken for n in portions if results[n].broken), ""),
        )


def _nothing(report: BuildReport) -> str:
    total = report.total
    why = [f"{count} {DROPPED[name]}" for name, count in total.dropped.items() if count]
    return (
        f"{report.folder}: nothing is left of {total.looked} pictures that were looked at "
        f"({', '.join(why) or 'the sources hold none'})"
    )
