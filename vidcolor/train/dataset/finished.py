"""`dataset.toml`: what a finished set was made of and how, written last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidcolor.errors import ConfigError, MediaError
from vidcolor.given import parse_toml, read_text, shown
from vidcolor.io.source import reason
from vidcolor.schema import to_dict, to_toml
from vidcolor.train.dataset.config import BuildConfig
from vidcolor.train.dataset.report import BuildReport, SourceReport
from vidcolor.train.dataset.sources import Source, fingerprint
from vidcolor.train.dataset.work import digest

__all__ = ["NAME", "Recipe", "read_finished", "to_text"]

NAME = "dataset.toml"
_VERSION = 1
_LATE = ("val", "same_bits", "alike_bits", "shard_mb")
"""Settings that matter only when all sources are finished."""

_ELSEWHERE = ("device", "keep_partial")
"""Settings that do not say what the set is."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings and content of what a set is made of, wherever the files lie.

    Attributes:
        settings: Without those that do not matter; files are named by their content.
        sources: In order.
    """

    settings: dict[str, Any]
    sources: tuple[Source, ...]

    @classmethod
    def of(cls, config: BuildConfig, sources: Sequence[Source]) -> Recipe:
        """Of settings and sources.

        Raises:
            MediaError: If a file that the settings name cannot be read.
        """
        settings = to_dict(config)
        for name in _ELSEWHERE:
            settings.pop(name)
        settings["coco"] = [_content(path) for path in config.coco]
        if config.cut.shots_file is not None:
            settings["cut"]["shots_file"] = _content(config.cut.shots_file)
        kind, boxes, path = config.detect.detector.partition(":")
        if boxes:
            settings["detect"]["detector"] = f"{kind}:{_content(path)}"
        return cls(settings, tuple(sources))

    @property
    def identity(self) -> str:
        """The same for the same set."""
        return digest(_VERSION, self.settings, [_named(source) for source in self.sources])

    def key(self, source: Source) -> str:
        """The same for the same pictures of a source."""
        early = {name: value for name, value in self.settings.items() if name not in _LATE}
        return digest(_VERSION, early, _named(source))


def _named(source: Source) -> list[object]:
    return [source.kind, source.name, source.slug, source.first, source.fingerprint]


def _content(path: str) -> str:
    return fingerprint([Path(path).expanduser()])


def to_text(recipe: Recipe, config: BuildConfig, report: BuildReport) -> str:
    """TOML of a set."""
    lines = [
        f"version = {_VERSION}",
        f"identity = {json.dumps(recipe.identity)}",
        f"shards = {json.dumps(report.shards)}",
        "",
        to_toml(config, ("settings",)),
    ]
    for one in report.sources:
        content = [s.fingerprint for s in recipe.sources if s.name == one.name]
        facts: dict[str, Any] = {
            "name": one.name,
            "kind": one.kind,
            "content": digest(content),
            "frames": one.frames,
            "looked": one.looked,
            "train": one.train,
            "val": one.val,
            "broken": one.broken,
        }
        lines.append("[[sources]]")
        lines += [f"{name} = {json.dumps(v, ensure_ascii=False)}" for name, v in facts.items()]
        lines.append("[sources.dropped]")
        lines += [f"{why} = {count}" for why, count in one.dropped.items() if count]
        lines.append("")
    return "\n".join(lines)


def read_finished(folder: Path, recipe: Recipe) -> BuildReport | None:
    """The report of a finished set, if there is one and it is the one that is asked for.

    Raises:
        ConfigError: If the folder holds another set.
        MediaError: If its `dataset.toml` cannot be read.
    """
    path = folder / NAME
    try:
        data = parse_toml(read_text(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise MediaError(f"{path}: cannot be read ({why})") from error
    if data.get("identity") != recipe.identity:
        raise ConfigError(
            f"{folder} holds a finished set of other sources or settings (see {NAME} there); "
            "give another --out, or remove it"
        )
    try:
        sources = tuple(
            SourceReport(
                name=row["name"],
                kind=row["kind"],
                frames=row["frames"],
                looked=row["looked"],
                dropped=row["dropped"],
                train=row["train"],
                val=row["val"],
                broken=row["broken"],
            )
            for row in data["sources"]
        )
        return BuildReport(folder, sources, tuple(data["shards"]), new=False)
    except (LookupError, TypeError) as error:
        raise MediaError(
            f"{path}: is no report of a finished set ({shown(error)}); remove the set, or give "
            "another --out"
        ) from None
