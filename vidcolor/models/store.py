"""Where known weights lie, and how to get them.

Nothing is fetched unless asked for. This module does not import torch.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidcolor.errors import WeightsError
from vidcolor.models.addresses import unfit
from vidcolor.models.catalog import (
    Kind,
    WeightFile,
    WeightsSpec,
    known_weights,
    weights_spec,
)
from vidcolor.models.download import Progress, alone, download, file_sha256

__all__ = [
    "WeightFile",
    "WeightsRow",
    "WeightsSpec",
    "cache_dir",
    "describe",
    "fetch",
    "find",
    "import_files",
    "installed",
    "known_weights",
    "list_weights",
    "refuse_unaccepted",
    "weights_spec",
]

_log = logging.getLogger(__name__)
_ASSETS = Path(__file__).resolve().parent.parent / "assets"


def cache_dir() -> Path:
    """The folder that keeps weights; it need not exist yet.

    `VIDCOLOR_CACHE` if set, else `vidcolor` in the platform's folder for caches.
    """
    chosen = os.environ.get("VIDCOLOR_CACHE")
    if chosen:
        try:
            return Path(chosen).expanduser()
        except RuntimeError:  # ~ of nobody
            raise WeightsError(f"VIDCOLOR_CACHE={chosen}: names no folder") from None
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "vidcolor" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "vidcolor"
    return _xdg_cache() / "vidcolor"


def _xdg_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser()


def _hub_dir() -> Path:
    """Where torch.hub and torchvision keep what they have downloaded."""
    home = os.environ.get("TORCH_HOME")
    return (Path(home).expanduser() if home else _xdg_cache() / "torch") / "hub" / "checkpoints"


# --- what is here -------------------------------------------------------------------------------


@functools.lru_cache(maxsize=32)
def _is_whole(path: Path, sha256: str, _size: int, _changed: int) -> bool:
    """torch.hub may keep a file cut in half as if it were whole."""
    whole = file_sha256(path).startswith(sha256)
    if not whole:
        _log.warning("%s is damaged (its sha256 is not %s), not used", path, sha256)
    return whole


def _locate(spec: WeightsSpec) -> Path | None:
    if spec.shipped:
        path = _ASSETS / spec.files[0].name
        return path if path.is_file() else None
    for name in _usable(spec):
        if (cache_dir() / name).is_file():
            return cache_dir() / name
    if spec.foreign:
        return None
    for file in spec.files:
        path = _hub_dir() / file.name
        if file.sha256 and path.is_file():
            stat = path.stat()
            if _is_whole(path, file.sha256, stat.st_size, stat.st_mtime_ns):
                return path
    return None


def _usable(spec: WeightsSpec) -> list[str]:
    """Names of files in the cache that can be used as they are."""
    names = [] if spec.foreign else [file.name for file in spec.files]
    return [spec.converted, *names] if spec.registered else names


def installed() -> dict[str, Path]:
    """The weights that can be used now, with their file."""
    found = {spec.name: _locate(spec) for spec in known_weights()}
    return {name: path for name, path in found.items() if path is not None}


@dataclass(frozen=True, slots=True)
class WeightsRow:
    """One line of a list of weights, as text.

    Attributes:
        name: See `WeightsSpec`.
        kind: See `WeightsSpec`.
        model: See `WeightsSpec`.
        license: See `WeightsSpec`.
        size: Bytes: of the installed file, else as published, else None.
        sha256: As published (perhaps only its first digits), or empty.
        installed: The file, or "no".
        source: See `WeightsSpec`.
    """

    name: str
    kind: Kind
    model: str
    license: str
    size: int | None
    sha256: str
    installed: str
    source: str


def list_weights() -> list[WeightsRow]:
    """All known weights, with what is installed."""
    rows = []
    for spec in known_weights():
        path = _locate(spec)
        file = spec.files[0] if spec.files else WeightFile(spec.converted)
        rows.append(
            WeightsRow(
                spec.name,
                spec.kind,
                spec.model,
                _license(spec),
                path.stat().st_size if path else file.size,
                file.sha256 or "",
                str(path) if path else "no",
                spec.source,
            )
        )
    return rows


def _license(spec: WeightsSpec) -> str:
    return spec.license + " (non-commercial)" * spec.non_commercial


def describe(name: str) -> list[tuple[str, str]]:
    """All that is known of weights, as pairs of a heading and a text.

    Raises:
        WeightsError: If nothing of that name is known.
    """
    spec = weights_spec(name)
    path = _locate(spec)
    rows = [
        ("name", spec.name),
        ("kind", spec.kind),
        ("network", spec.model),
        ("settings", ", ".join(f"{key} {value}" for key, value in spec.settings.items())),
        ("short side", f"{spec.short_side} px" if spec.short_side else ""),
        ("license", _license(spec)),
        ("source", spec.source),
        ("paper", spec.paper),
        ("notes", spec.notes),
    ]
    for file in spec.files:
        rows.append(("file", file.name))
        rows.append(("size", "" if file.size is None else f"{file.size:,} bytes"))
        checks = (("sha256", file.sha256), ("sha1", file.sha1))
        rows += [(kind, digest) for kind, digest in checks if digest]
        rows += [("from", url) for url in (file.url, *file.mirrors) if url]
    rows.append(("installed", str(path) if path else "no"))
    if not path and not spec.shipped:
        rows.append(("would lie at", str(cache_dir() / _usable(spec)[0 if spec.foreign else -1])))
        rows.append(("get it by", _command(spec) if _fetchable(spec) else spec.by_hand))
    if _fetchable(spec) and not spec.shipped:
        rows.append(("by hand", _by_hand(spec)))
    return [(heading, text) for heading, text in rows if text]


def find(name: str) -> Path:
    """The file of known weights.

    Looked for in the package, in `cache_dir()`, and, if its checksum is known, where torch.hub
    keeps downloads.

    Raises:
        WeightsError: If they are not here; the message has the command that gets them.
    """
    spec = weights_spec(name)
    path = _locate(spec)
    if path is not None:
        return path
    if spec.shipped:
        raise WeightsError(
            f"{_ASSETS / spec.files[0].name} is missing from the package; install vidcolor again"
        )
    file = spec.files[0].name if spec.files else spec.converted
    needed = f"{spec.converted}, made of {file}," if spec.foreign else file
    command = f"get them with: {_command(spec)}; " if _fetchable(spec) else ""
    raise WeightsError(
        f"weights {name!r} are not installed: no {needed} in {cache_dir()}; "
        f"{command}{_by_hand(spec)}"
    )


def _fetchable(spec: WeightsSpec) -> bool:
    return any(file.url for file in spec.files)


def _command(spec: WeightsSpec) -> str:
    command, why = f"vidcolor weights fetch {spec.name}", []
    if spec.non_commercial:
        command += " --accept-license"
        why.append(f"{spec.license} forbids commercial use")
    if _is_plain(spec):
        command += " --allow-http"
        why.append("its makers serve it without encryption")
    return f"{command} ({'; '.join(why)})" if why else command


def _is_plain(spec: WeightsSpec) -> bool:
    """Whether some file has no address that other machines are asked at by themselves."""
    urls = [_urls(file, None) for file in spec.files]
    return any(of and all(unfit(url, plain=False) for url in of) for of in urls)


def _by_hand(spec: WeightsSpec) -> str:
    if spec.by_hand or not spec.files:
        return spec.by_hand
    file = spec.files[0].published_name
    return f"if you have the file: vidcolor weights import {spec.name} {file}"


# --- getting them -------------------------------------------------------------------------------


def refuse_unaccepted(name: str, accept_license: bool) -> None:
    """Stop before anything is fetched whose license was not accepted.

    Raises:
        WeightsError: If nothing of that name is known; if its license forbids commercial use,
            that was not accepted, and it is not installed.
    """
    spec = weights_spec(name)
    if spec.non_commercial and not accept_license and _locate(spec) is None:
        raise WeightsError(
            f"{name} is licensed {spec.license}, which forbids commercial use ({spec.source}); "
            f"if that suits you: vidcolor weights fetch {name} --accept-license"
        )


def fetch(
    name: str,
    base_url: str | None = None,
    accept_license: bool = False,
    progress: Progress | None = None,
    plain: bool = False,
) -> list[Path]:
    """Download known weights into `cache_dir()`, verify and install them.

    Another program that fetches the same ones at the same time is waited for.

    Args:
        name: Of the weights.
        base_url: A folder (`https`, `http`, `file` or a path) with the files under their own
            names, instead of the authors'.
        accept_license: Needed where the license forbids commercial use.
        progress: Told of bytes done and total.
        plain: Also from makers who serve their files without encryption (`http`); a `base_url`
            of that kind needs no such word.

    Returns:
        The installed files; those that were there already are not fetched again.

    Raises:
        WeightsError: If anything is wrong; nothing is then installed. The message says how to
            get the files by hand.
    """
    spec = weights_spec(name)
    present = _locate(spec)
    if present is not None:
        return [present]
    if spec.shipped or not spec.files:
        find(name)
    refuse_unaccepted(name, accept_license)
    if base_url is None and not plain and _is_plain(spec):
        raise WeightsError(
            f"{name} is served by its makers over http only, where it can be changed on its way "
            f"(no sha256 of it is published); if that suits you: {_command(spec)}; {_by_hand(spec)}"
        )
    with alone(cache_dir() / f"{name}.lock"):
        present = _locate(spec)  # somebody else may have brought it meanwhile
        if present is not None:
            return [present]
        try:
            return _fetch(spec, base_url, progress, plain)
        except WeightsError as error:
            raise WeightsError(f"{error}; {_by_hand(spec)}") from None


def _fetch(
    spec: WeightsSpec, base_url: str | None, progress: Progress | None, plain: bool
) -> list[Path]:
    fetched = []
    for file in spec.files:
        target = cache_dir() / file.name
        urls = _urls(file, base_url)
        if not file.sha256 and any(unfit(url, plain=False) for url in urls):
            _log.warning(
                "%s comes without encryption, and no sha256 of it is published: nothing proves "
                "whose it is",
                file.name,
            )
        _download(spec, file, urls, target, progress, plain or base_url is not None)
        fetched.append(target)
    if not spec.foreign:
        return fetched
    try:
        return import_files(spec.name, fetched)
    finally:
        for path in fetched:
            path.unlink(missing_ok=True)


def _download(
    spec: WeightsSpec,
    file: WeightFile,
    urls: Sequence[str],
    target: Path,
    progress: Progress | None = None,
    plain: bool = False,
) -> None:
    if not urls:
        raise WeightsError(f"{file.name} cannot be fetched by a program")
    faults = []
    for url in urls:
        try:
            download(
                url,
                target,
                sha256=file.sha256,
                size=file.size,
                check=functools.partial(_check, spec, file),
                progress=progress,
                plain=plain,
            )
            return
        except WeightsError as error:
            faults.append(str(error))
    raise WeightsError("; ".join(faults))


def _urls(file: WeightFile, base_url: str | None) -> list[str]:
    if base_url is None:
        return [url for url in (file.url, *file.mirrors) if url]
    if "://" not in base_url:
        base_url = Path(base_url).expanduser().resolve().as_uri()
    return [f"{base_url.rstrip('/')}/{file.name}"]


def _check(spec: WeightsSpec, file: WeightFile, path: Path) -> None:
    """What `download` cannot check by a SHA-256."""
    if file.sha1:
        with path.open("rb") as content:
            # against accidents; what is in the file is checked anyway when it is converted
            digest = hashlib.file_digest(content, "sha1").hexdigest()
        if digest != file.sha1:
            raise WeightsError(f"sha1 {digest} instead of {file.sha1}")
    if file.sha256 or spec.foreign:  # `import_files` checks what is foreign
        return
    from vidcolor.models import formats

    if spec.registered:
        formats.check_model(formats.read_tensors(path), spec.model, spec.settings, file.name)
    else:
        formats.check_signs(formats.read_tensors(path), spec.signs, spec.name, file.name)


def import_files(name: str, files: Sequence[str | Path]) -> list[Path]:
    """Install weights that somebody has as files.

    Those of a registered network are checked key by key and written as one safetensors file; of a
    file of ours, settings and card stay. For `instcolor` these are the authors' three files, their
    zip, or OpenMMLab's single one. Any other file must have the published checksum, or its first
    layers where none is published, and is copied.

    Args:
        name: Of known weights.
        files: Paths.

    Returns:
        The installed file.

    Raises:
        WeightsError: If a file is missing, damaged, or made for another network.
    """
    spec = weights_spec(name)
    paths = [Path(file).expanduser() for file in files]
    if spec.shipped:
        raise WeightsError(f"{name} comes with the package; use the file itself: --weights FILE")
    for path in paths:
        if not path.is_file():
            raise WeightsError(f"{path} is no file")
    if not spec.registered:
        return [_import_copy(spec, paths)]
    from vidcolor.models import formats

    tensors, settings, card = formats.gather(spec.model, spec.settings, paths)
    target = cache_dir() / spec.converted
    digests = {path.name: file_sha256(path) for path in paths}
    known = spec.files[0].sha256 if spec.files else None
    if known and not spec.foreign and not digests[paths[0].name].startswith(known):
        # networks trained further have the same keys, and so has a file for another mask_cent
        _log.warning("%s fits %s, but is not the published file", paths[0], name)
    if not card:
        card = {"license": spec.license, "source": spec.source, "paper": spec.paper}
    card = {**card, "name": name, "files": digests}
    formats.write_tensors(target, tensors, spec.model, settings, card)
    return [target]


def _import_copy(spec: WeightsSpec, paths: Sequence[Path]) -> Path:
    file = spec.files[0]
    if len(paths) != 1:
        raise WeightsError(f"{spec.name} is one file ({file.name}), not {len(paths)}")
    target = cache_dir() / file.name
    if target.exists() and target.samefile(paths[0]):
        return target
    with alone(cache_dir() / f"{spec.name}.lock"):
        _download(spec, file, [paths[0].resolve().as_uri()], target)
    return target
