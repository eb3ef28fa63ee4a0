"""Look before the long run: sheets, clips, and what notebooks draw.

`vidcolor.preview.show("film.mkv", at=60)` is a frame before and after; with `duration=5` a clip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidcolor.preview.notebook import compare, contact_sheet, show

__all__ = ["compare", "contact_sheet", "show"]


def __getattr__(name: str) -> Any:
    """The functions of `vidcolor.preview.notebook`, imported (with torch) when first asked for."""
    if name in __all__:
        from vidcolor.preview import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module 'vidcolor.preview' has no attribute {name!r}")
