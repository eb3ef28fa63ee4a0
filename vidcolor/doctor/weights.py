"""Weights and detectors: what is here, whether it is whole, and how to get the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vidcolor.doctor.report import Finding
from vidcolor.errors import WeightsError
from vidcolor.models.catalog import WeightsSpec

__all__ = ["see_detectors", "see_weights"]

_AREA = "weights"
_MB = 1_000_000
_GPU_MODEL = "maskrcnn_resnet50_fpn_v2"
_CPU_MODEL = "fasterrcnn_mobilenet_v3_large_320_fpn"


def see_weights() -> Iterator[Finding]:
    """Everything that the catalog knows."""
    from vidcolor.models import store

    here = store.installed()
    for spec in store.known_weights():
        path = here.get(spec.name)
        yield _absent(spec) if path is None else _present(spec, path)
    how = f"vidcolor weights show NAME tells how; they are kept in {store.cache_dir()}"
    yield Finding(_AREA, "to get the others", how, "absent")


def _absent(spec: WeightsSpec) -> Finding:
    if spec.shipped:
        return Finding(
            _AREA, spec.name, "missing from the package", "wrong",
            "install vidcolor again: pip install --force-reinstall --no-deps vidcolor",
        )  # fmt: skip
    from vidcolor.models import store

    known = dict(store.describe(spec.name))
    how = known.get("get it by") or known.get("by hand") or ""
    where = spec.source.removeprefix("https://")
    return Finding(_AREA, spec.name, f"not here; {spec.license}, {where}", "absent", how)


def _present(spec: WeightsSpec, path: Path) -> Finding:
    from vidcolor.models.download import file_sha256

    size = f"{path.stat().st_size / _MB:.1f} MB, {path}"
    published = {file.name: file.sha256 for file in spec.files if file.sha256}
    wanted = published.get(path.name)
    if wanted is None:
        return _by_card(spec, path, size)
    digest = file_sha256(path)
    if digest.startswith(wanted):
        return Finding(_AREA, spec.name, f"sha256 {digest[:12]} is right; {size}")
    again = (
        "install vidcolor again"
        if spec.shipped
        else f"remove it; then vidcolor weights fetch {spec.name}"
    )
    return Finding(
        _AREA, spec.name, f"sha256 {digest[:12]}, published is {wanted[:12]}; {size}",
        "wrong", again,
    )  # fmt: skip


def _by_card(spec: WeightsSpec, path: Path, size: str) -> Finding:
    """A file that nobody published a checksum of: what it says of itself must fit."""
    from vidcolor.models import formats

    try:
        own = formats.stated(path)
    except WeightsError as error:
        return Finding(_AREA, spec.name, str(error), "wrong", f"remove {path}, and get it again")
    if own is None:
        return Finding(_AREA, spec.name, f"here, no checksum is published; {size}")
    if own[0] != spec.model:
        found = f"is for {own[0]}, not for {spec.model}; {size}"
        return Finding(_AREA, spec.name, found, "wrong", f"remove {path}, and get it again")
    return Finding(_AREA, spec.name, f"converted, for {own[0]}; {size}")


def see_detectors() -> Iterator[Finding]:
    """Which detectors could be used now, without asking the network."""
    from importlib.util import find_spec

    from vidcolor.models import store

    area = "detectors"
    here = store.installed()
    try:
        from torchvision.models import detection  # noqa: F401  (whether it fits torch)
    except (ImportError, RuntimeError, OSError) as error:  # built for another torch: any of them
        yield Finding(
            area, "torchvision", f"cannot be imported: {str(error).splitlines()[0]}", "warning",
            "install the torchvision that belongs to torch; until then motion is used",
        )  # fmt: skip
    else:
        for name, where in ((_CPU_MODEL, "CPUs"), (_GPU_MODEL, "GPUs")):
            if name in here:
                yield Finding(area, f"torchvision, on {where}", f"{name}, weights are here")
            else:
                found = f"{name}, weights are fetched on first use"
                how = f"vidcolor weights fetch {name}"
                yield Finding(area, f"torchvision, on {where}", found, "absent", how)
    if find_spec("detectron2") is None:
        yield Finding(area, "detectron2", "not installed", "absent")
    else:
        yield Finding(area, "detectron2", "installed; name its weights to use it")
    yield Finding(area, "motion", "always there, needs no weights")
