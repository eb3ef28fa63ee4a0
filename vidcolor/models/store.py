"""Known weights, where they lie, and how to get them.

Nothing is fetched unless asked for. This module does not import torch.
"""

from __future__ import annotations

import difflib
import functools
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vidcolor.errors import WeightsError
from vidcolor.models.download import Progress, download, file_sha256

__all__ = [
    "WeightFile",
    "WeightsRow",
    "WeightsSpec",
    "cache_dir",
    "fetch",
    "find",
    "import_files",
    "installed",
    "known_weights",
    "list_weights",
    "weights_spec",
]

_log = logging.getLogger(__name__)
_ASSETS = Path(__file__).resolve().parent.parent / "assets"


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file that somebody published.

    Attributes:
        name: File name.
        url: Where it is, or None if no program can fetch it from there.
        sha256: Its SHA-256 in lower-case hex, or the digits known of its start; None if nobody
            published it. The network's keys and shapes are then all that is checked.
        size: Bytes, if known.
    """

    name: str
    url: str | None = None
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class WeightsSpec:
    """What is known of weights, and all that is needed to use them rightly.

    Attributes:
        name: As people write it.
        kind: "colorizer" or "detector".
        model: Registered colorizer, or torchvision's name of the detector.
        license: SPDX name, of the weights as far as their authors say.
        source: Page of the authors.
        files: What they published.
        settings: Of the network's builder.
        paper: Authors, title, venue, arXiv.
        notes: What one should know before using them.
        by_hand: How to get the files where no program can.
        non_commercial: The license forbids commercial use; `fetch` wants it accepted.
        shipped: Comes with the package.
        short_side: Short side of the network's picture that suits them; 0 is the network's own.
    """

    name: str
    kind: Literal["colorizer", "detector"]
    model: str
    license: str
    source: str
    files: tuple[WeightFile, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    paper: str = ""
    notes: str = ""
    by_hand: str = ""
    non_commercial: bool = False
    shipped: bool = False
    short_side: int = 0

    @property
    def converted(self) -> str:
        """Name of the file that `import_files` makes of a colorizer's."""
        return f"{self.name}.safetensors"


_ZHANG17 = (
    "Zhang, Zhu, Isola, Geng, Lin, Yu, Efros: Real-Time User-Guided Image Colorization with "
    "Learned Deep Priors. ACM Transactions on Graphics 36(4), 2017. arXiv:1705.02999"
)
_PYTORCH = "https://download.pytorch.org/models/"
_BERKELEY = "http://colorization.eecs.berkeley.edu/siggraph/models/"

_KNOWN = (
    WeightsSpec(
        name="starter",
        kind="colorizer",
        model="quarternet",
        license="MIT (docs/starter.md)",
        source="trained by this project (configs/train/starter.toml)",
        files=(
            WeightFile(
                "starter.safetensors",
                None,
                "c693b891d4bcb7fdac20f59bca8792efeb7fb570bc6e6fac92444fef04db9663",
                15_320_408,
            ),
        ),
        notes="comes with the package",
        shipped=True,
    ),
    WeightsSpec(
        name="siggraph17",
        kind="colorizer",
        model="siggraph17",
        license="BSD-2-Clause",
        source="https://github.com/richzhang/colorization",
        files=(
            WeightFile(
                "siggraph17-df00044c.pth",
                "https://colorizers.s3.us-east-2.amazonaws.com/siggraph17-df00044c.pth",
                "df00044c0a4d7c3edcecf6f75437ce346a66e7a42612d9b968e1a7e17dbc6f66",
                136_787_426,
            ),
        ),
        settings={"width": 64, "mask_cent": 0.0},
        paper=_ZHANG17,
        notes="trained on ImageNet",
    ),
    WeightsSpec(
        name="siggraph17-retrained",
        kind="colorizer",
        model="siggraph17",
        license="MIT",
        source="https://github.com/richzhang/colorization-pytorch",
        # on the server it is just "pytorch.pth"
        files=(WeightFile("siggraph17-retrained.pth", _BERKELEY + "pytorch.pth"),),
        settings={"width": 64, "mask_cent": 0.5},
        paper=_ZHANG17,
        notes="trained on ImageNet; where InstColorization's training starts",
    ),
    WeightsSpec(
        name="siggraph17-caffe",
        kind="colorizer",
        model="siggraph17",
        license="MIT",
        source="https://github.com/richzhang/colorization-pytorch",
        files=(WeightFile("siggraph17-caffe.pth", _BERKELEY + "caffemodel.pth"),),
        settings={"width": 64, "mask_cent": 0.0},
        paper=_ZHANG17,
        notes="trained on ImageNet; the paper's own, converted from Caffe",
    ),
    WeightsSpec(
        name="instcolor",
        kind="colorizer",
        model="instcolor",
        license="MIT",
        source="https://github.com/ericsujw/InstColorization",
        files=(
            WeightFile(
                "inst-colorizatioon_full_official_cocostuff-256x256-5b9d4eee.pth",
                "https://download.openmmlab.com/mmediting/inst_colorization/"
                "inst-colorizatioon_full_official_cocostuff-256x256-5b9d4eee.pth",
                "5b9d4eee",
            ),
        ),
        settings={
            "width": 64,
            "mask_cent": 0.5,
            "fuse_without_boxes": False,
            "mask_outside": False,
            "outward": False,
        },
        paper=("Su, Chu, Huang: Instance-aware Image Colorization. CVPR 2020. arXiv:2005.10825"),
        notes="trained on COCO-Stuff; fetched in OpenMMLab's conversion (MMagic, Apache-2.0)",
        by_hand=(
            "the authors' files are in checkpoints.zip on Google Drive, linked from their page "
            "and to be downloaded in a browser (id 1Xb-DKAA9ibCVLqm8teKd1MWk6imjwTBh); then: "
            "vidcolor weights import instcolor checkpoints.zip   (or the three files "
            "latest_net_G.pth latest_net_GF.pth latest_net_GComp.pth)"
        ),
    ),
    WeightsSpec(
        name="fasterrcnn_mobilenet_v3_large_320_fpn",
        kind="detector",
        model="fasterrcnn_mobilenet_v3_large_320_fpn",
        license="BSD-3-Clause",
        source="https://github.com/pytorch/vision",
        files=(
            WeightFile(
                "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth",
                _PYTORCH + "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth",
                "907ea3f91ff92242bc1baea8049276a3e76bca48ce7560bd268cc029f37977b5",
                77_844_807,
            ),
        ),
        paper=(
            "Ren, He, Girshick, Sun: Faster R-CNN. NeurIPS 2015. arXiv:1506.01497; Howard et "
            "al.: Searching for MobileNetV3. ICCV 2019. arXiv:1905.02244"
        ),
        notes="trained on COCO, box AP 22.8",
    ),
    WeightsSpec(
        name="maskrcnn_resnet50_fpn_v2",
        kind="detector",
        model="maskrcnn_resnet50_fpn_v2",
        license="BSD-3-Clause",
        source="https://github.com/pytorch/vision",
        files=(
            WeightFile(
                "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
                _PYTORCH + "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
                "73cbd0190fcbe3ba339921fbce2c3a0b6bb9126c9a133c85e43a2a8e060a109e",
                185_828_065,
            ),
        ),
        paper=(
            "He, Gkioxari, Dollar, Girshick: Mask R-CNN. ICCV 2017. arXiv:1703.06870; Li et al.: "
            "Benchmarking Detection Transfer Learning with Vision Transformers. arXiv:2111.11429"
        ),
        notes="trained on COCO, box AP 47.4",
    ),
)


def known_weights() -> tuple[WeightsSpec, ...]:
    """All that the program knows of."""
    return _KNOWN


def weights_spec(name: str) -> WeightsSpec:
    """What is known of weights.

    Raises:
        WeightsError: If nothing of that name is known; the message has the nearest.
    """
    specs = {spec.name: spec for spec in known_weights()}
    if name not in specs:
        near = difflib.get_close_matches(name, specs, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(specs)}"
        raise WeightsError(f"unknown weights {name!r}, and no such file; {hint}")
    return specs[name]


def cache_dir() -> Path:
    """The folder that keeps weights; it need not exist yet.

    `VIDCOLOR_CACHE` if set, else `vidcolor` in the platform's folder for caches.
    """
    chosen = os.environ.get("VIDCOLOR_CACHE")
    if chosen:
        return Path(chosen).expanduser()
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
    names = [file.name for file in spec.files]
    if spec.kind == "colorizer":
        names.insert(0, spec.converted)
    for name in names:
        if (cache_dir() / name).is_file() and not _is_foreign(spec, name):
            return cache_dir() / name
    for file in spec.files:
        path = _hub_dir() / file.name
        if file.sha256 and path.is_file() and not _is_foreign(spec, file.name):
            stat = path.stat()
            if _is_whole(path, file.sha256, stat.st_size, stat.st_mtime_ns):
                return path
    return None


def _is_foreign(spec: WeightsSpec, name: str) -> bool:
    """Whether a file must be converted before it can be used."""
    return spec.model == "instcolor" and name != spec.converted


def installed() -> dict[str, Path]:
    """The weights that can be used now, with their file."""
    found = {spec.name: _locate(spec) for spec in known_weights()}
    return {name: path for name, path in found.items() if path is not None}


@dataclass(frozen=True, slots=True)
class WeightsRow:
    """One line of a list of weights, as text.

    Attributes:
        name: See `WeightsSpec`.
        model: See `WeightsSpec`.
        license: See `WeightsSpec`.
        size: Bytes: of the installed file, else as published, else None.
        sha256: As published (perhaps only its first digits), or empty.
        installed: The file, or "no".
        source: See `WeightsSpec`.
    """

    name: str
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
        path, file = _locate(spec), spec.files[0]
        rows.append(
            WeightsRow(
                spec.name,
                spec.model,
                spec.license + " (non-commercial)" * spec.non_commercial,
                path.stat().st_size if path else file.size,
                file.sha256 or "",
                str(path) if path else "no",
                spec.source,
            )
        )
    return rows


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
    file = spec.files[0].name
    raise WeightsError(
        f"weights {name!r} are not installed: no {file} in {cache_dir()}; "
        f"get them with: vidcolor weights fetch {name}"
    )


def fetch(
    name: str,
    base_url: str | None = None,
    accept_license: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Download known weights into `cache_dir()`, verify and install them.

    Args:
        name: Of the weights.
        base_url: A folder (`http`, `https`, `file` or a path) with the files under their own
            names, instead of the authors'.
        accept_license: Needed where the license forbids commercial use.
        progress: Told of bytes done and total.

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
    if spec.shipped:
        find(name)
    if spec.non_commercial and not accept_license:
        raise WeightsError(
            f"{name} is licensed {spec.license}, which forbids commercial use ({spec.source}); "
            f"if that suits you: vidcolor weights fetch {name} --accept-license"
        )
    fetched = []
    for file in spec.files:
        url = _url(file, base_url)
        if url is None:
            raise WeightsError(f"{file.name} cannot be fetched by a program: {spec.by_hand}")
        check = None if file.sha256 else functools.partial(_check_keys, spec)
        target = cache_dir() / file.name
        try:
            download(
                url, target, sha256=file.sha256, size=file.size, check=check, progress=progress
            )
        except WeightsError as error:
            raise WeightsError(f"{error}; {_by_hand(spec)}") from None
        fetched.append(target)
    if not _is_foreign(spec, spec.files[0].name):
        return fetched
    try:
        return import_files(name, fetched)
    except WeightsError as error:
        raise WeightsError(f"{error}; {_by_hand(spec)}") from None
    finally:
        for path in fetched:
            path.unlink(missing_ok=True)


def _url(file: WeightFile, base_url: str | None) -> str | None:
    if base_url is None:
        return file.url
    if "://" not in base_url:
        base_url = Path(base_url).expanduser().resolve().as_uri()
    return f"{base_url.rstrip('/')}/{file.name}"


def _by_hand(spec: WeightsSpec) -> str:
    if spec.by_hand:
        return spec.by_hand
    return f"if you have the file: vidcolor weights import {spec.name} {spec.files[0].name}"


def _check_keys(spec: WeightsSpec, path: Path) -> None:
    from vidcolor.models import formats

    formats.check_model(formats.read_tensors(path), spec.model, spec.settings, path.name)


def import_files(name: str, files: Sequence[str | Path]) -> list[Path]:
    """Install weights that somebody has as files.

    A colorizer's are checked key by key and written as one safetensors file. For `instcolor`
    these are the authors' three files, their zip, or OpenMMLab's single one. A detector's file
    must have the published checksum and is copied.

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
    if spec.kind == "detector":
        return [_import_detector(spec, paths)]
    from vidcolor.models import formats

    tensors = formats.gather(spec.model, spec.settings, paths)
    target = cache_dir() / spec.converted
    digests = {path.name: file_sha256(path) for path in paths}
    known = spec.files[0].sha256
    if known and spec.model != "instcolor" and not digests[paths[0].name].startswith(known):
        # networks trained further have the same keys, and so has a file for another mask_cent
        _log.warning("%s fits %s, but is not the published file", paths[0], name)
    card = {
        "name": name,
        "license": spec.license,
        "source": spec.source,
        "paper": spec.paper,
        "files": digests,
    }
    formats.write_tensors(target, tensors, spec.model, spec.settings, card)
    return [target]


def _import_detector(spec: WeightsSpec, paths: Sequence[Path]) -> Path:
    file = spec.files[0]
    if len(paths) != 1:
        raise WeightsError(f"{spec.name} is one file ({file.name}), not {len(paths)}")
    target = cache_dir() / file.name
    if target.exists() and target.samefile(paths[0]):
        return target
    source = paths[0].resolve().as_uri()
    download(source, target, sha256=file.sha256, size=file.size)
    return target
