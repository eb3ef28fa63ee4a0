"""Packages: what the program needs, what it can use, whether the versions are those it knows."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distributions, requires, version

from vidcolor.doctor.ranges import Requirement, is_in
from vidcolor.doctor.report import Finding

__all__ = ["installed_packages", "see_packages"]

_AREA = "packages"
_OPTIONAL = {
    "detectron2": ("other detectors", "docs/weights.md tells how"),
    "lpips": ("LPIPS in vidcolor evaluate", "pip install 'vidcolor[eval]'"),
    "onnx": ("vidcolor export, colorizers as .onnx", "pip install 'vidcolor[export]'"),
    "onnxruntime": ("colorizers as .onnx", "pip install 'vidcolor[export]'"),
    "onnxscript": ("vidcolor export", "pip install 'vidcolor[export]'"),
    "ray": ("many machines", "pip install 'vidcolor[cluster]'"),
    "scikit-image": ("SSIM in vidcolor evaluate", "pip install 'vidcolor[eval]'"),
    "tensorboard": ("curves of a training", "pip install 'vidcolor[tensorboard]'"),
    "torch-fidelity": ("FID in vidcolor evaluate", "pip install 'vidcolor[eval]'"),
}
_CVS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


def installed_packages() -> list[tuple[str, str]]:
    """Name and version of every package that Python finds, in order, without where they lie."""
    found = {(one.metadata["Name"], one.version) for one in distributions() if one.metadata["Name"]}
    return sorted(found, key=lambda pair: (pair[0].lower(), pair[1]))


def see_packages() -> Iterator[Finding]:
    """All that our metadata names, and what else we can use."""
    stated = [Requirement.read(line) for line in requires("vidcolor") or ()]
    ranges = {one.name.lower(): one.range for one in stated if one.extra}
    needed = [one for one in stated if not one.extra]
    for one in needed:
        yield _needed(one)
    yield from _doubles()
    for name, (what, how) in _OPTIONAL.items():
        yield _optional(name, ranges.get(name, ""), what, how)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _needed(wanted: Requirement) -> Finding:
    here = _version(wanted.name)
    order = f"pip install '{wanted.name}{wanted.range}'"
    if here is None:
        return Finding(_AREA, wanted.name, "not installed", "wrong", order)
    if not is_in(here, wanted.range):
        return Finding(_AREA, wanted.name, f"{here}, want {wanted.range}", "warning", order)
    return Finding(_AREA, wanted.name, here)


def _optional(name: str, wanted: str, what: str, how: str) -> Finding:
    here = _version(name)
    if here is None:
        return Finding(_AREA, name, f"not installed; for {what}: {how}", "absent")
    if not is_in(here, wanted):
        return Finding(_AREA, name, f"{here}, want {wanted}", "warning", how)
    return Finding(_AREA, name, f"{here}, for {what}")


def _doubles() -> Iterator[Finding]:
    """Several OpenCVs lie in one folder and overwrite one another."""
    here = [name for name in _CVS if _version(name)]
    if len(here) > 1:
        others = " ".join(name for name in here if name != "opencv-python-headless")
        advice = f"pip uninstall {' '.join(here)}, then pip install opencv-python-headless"
        yield Finding(_AREA, "OpenCV", f"installed more than once: {others}", "warning", advice)
