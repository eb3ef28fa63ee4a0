"""How little is taken for damage: one word for all detectors."""

from __future__ import annotations

from typing import Literal

__all__ = ["Sensitivity"]

Sensitivity = Literal["low", "normal", "high", "maximum"]
