"""What the page needs to know besides films: what can be set and chosen."""

from __future__ import annotations

from typing import Any

from vidcolor import __version__
from vidcolor.guidance.colors import NAMES
from vidcolor.models.catalog import known_weights
from vidcolor.models.registry import list_models, model_spec
from vidcolor.models.store import list_weights
from vidcolor.preview.web.desk.controls import CONTROLS, control

__all__ = ["about"]


def about() -> dict[str, Any]:
    """Version, controls, networks, weights, detectors, colors that have a name."""
    rows = [row for row in list_weights() if row.kind == "colorizer"]
    return {
        "version": __version__,
        "controls": CONTROLS,
        "colorizers": [_colorizer(name) for name in list_models()],
        "weights": [
            {
                "name": row.name,
                "colorizer": row.model,
                "installed": row.installed != "no",
                "license": row.license,
                "bytes": row.size,
            }
            for row in rows
        ],
        "detectors": control("detect.detector").choices,
        "named_colors": [{"name": name, "hex": f"#{digits}"} for name, digits in NAMES.items()],
    }


def _colorizer(name: str) -> dict[str, Any]:
    known = [spec for spec in known_weights() if spec.kind == "colorizer" and spec.model == name]
    papers = [spec.paper for spec in known if spec.paper]
    return {
        "name": name,
        "title": papers[0] if papers else name,
        "weights": [spec.name for spec in known],
        "default": model_spec(name).weights,
    }
