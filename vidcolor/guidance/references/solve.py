"""The pass over a film that finds what references say of its frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vidcolor.guidance.layers import LayerStore
from vidcolor.guidance.moment import FrameTimes
from vidcolor.guidance.references.entries import SIDES_PX, Reference, ReferencesConfig
from vidcolor.guidance.references.pages import Library
from vidcolor.guidance.references.shot import ShotReferences
from vidcolor.guidance.references.spill import Spill
from vidcolor.models.registry import Describes
from vidcolor.ops.resize import network_size
from vidcolor.records import FrameBatch

__all__ = ["ReferencesConfig", "solve_references"]


def solve_references(
    shots: Iterable[FrameBatch],
    references: Sequence[Reference],
    model: Describes,
    config: ReferencesConfig,
    store: LayerStore,
    times: FrameTimes | None = None,
) -> None:
    """Put a layer into `store` for every frame of which references know something.

    Memory: two frames and the references; what the way back through a shot needs lies in a
    temporary file, about half a megabyte a frame, until the shot ends. Nothing crosses a cut but
    the references themselves. Held frames get the layer of the frame that they repeat. The result
    does not depend on the batch size.

    Args:
        shots: The film, cut into shots.
        references: What a person gave; the order makes no difference.
        model: Describes small pictures, in evaluation mode; shipped weights do well.
        config: How they are believed.
        store: Where layers go, by pts.
        times: Of the film; needed where a reference has a place in it.

    Raises:
        GuidanceError: If a reference lies outside the film.
    """
    places = _places(references, times)
    shot: ShotReferences | None = None
    number = -1
    library: Library | None = None
    with Spill() as spill:
        for batch in shots:
            if batch.shot != number:
                if shot is not None:
                    shot.finish()
                size = network_size(batch.info, config.short_side, SIDES_PX)
                if library is None or library.size != size:
                    library = Library(references, places, model, config, size)
                number = batch.shot
                spill.clear()
                shot = ShotReferences(library.of_shot(number), spill, store)
            assert shot is not None
            shot.see(batch)
        if shot is not None:
            shot.finish()


def _places(references: Sequence[Reference], times: FrameTimes | None) -> list[int | None]:
    """pts of the frames that references are said to be."""
    places: list[int | None] = []
    for reference in references:
        moment = reference.entry.moment
        if moment is None:
            places.append(None)
        elif times is None:
            raise ValueError("times of the film are needed where a reference has a place in it")
        else:
            places.append(moment.resolve(times, f"reference {reference.path}"))
    return places
