"""Damage of a shot, found as repair would find it, to be laid over its frames."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from vidcolor.build import build_repair
from vidcolor.errors import MediaError
from vidcolor.preview.web.jobs import Report
from vidcolor.preview.web.shots.cache import ViewCache
from vidcolor.preview.web.shots.frames import WIDTH, NotMade, before_name, decode_shot, kept
from vidcolor.preview.web.shots.overlays import clear, damage_picture
from vidcolor.render import ListedShots
from vidcolor.repair.motion import follow
from vidcolor.schema import to_dict
from vidcolor.scripted import ScriptedFilm

__all__ = ["DamageViews"]


class DamageViews:
    """Pictures of damage by shot, kept by the settings of repair.

    Args:
        mark: Of the film, for the cache.
        cache: Where they are kept.
    """

    def __init__(self, mark: str, cache: ViewCache) -> None:
        self._mark, self._cache = mark, cache

    def make(self, film: ScriptedFilm, place: int, report: Report) -> None:
        """Look for the damage of a shot, whether or not the script has it repaired.

        Args:
            film: The film and its script.
            place: Number of the shot.
            report: Told of frames.

        Raises:
            VidcolorError: If the film or a person's file cannot be read.
        """
        name = _name(film, place)
        if self._cache.find(self._mark, name) is not None:
            return
        config = film.settings(place)
        # nothing is healed here, so no network is needed
        repair = build_repair(replace(config, restore=replace(config.restore, weights="none")))
        shot = film.shots[place]
        length = shot.end - shot.start + 1
        report.begin("looking for damage", length)
        frames = decode_shot(film, place, color=False)
        moved = follow(ListedShots(config.cut, [shot])(frames), repair.motion)
        with self._cache.draft(self._mark, name) as draft:
            for marked in repair.judge(repair.grow(repair.find(moved))):
                batch = marked.frames
                for number, spots in enumerate(marked.spots):
                    m = batch.start + number
                    if not spots or m != kept(m, length):
                        continue
                    path = draft.path / _file(m)
                    try:
                        path.write_bytes(damage_picture(spots, batch.info, WIDTH))
                    except OSError as error:
                        raise MediaError(
                            f"pictures of damage cannot be kept ({error.strerror}); make room"
                        ) from error
                report(len(batch))
            draft.land()

    def picture(self, film: ScriptedFilm, place: int, number: int) -> bytes:
        """Transparent PNG: damage of a frame, by kind and confidence.

        Raises:
            NotMade: If nobody has looked for it with these settings.
        """
        folder = self._cache.find(self._mark, _name(film, place))
        if folder is None:
            raise NotMade(f"nobody has looked for damage in shot {place} yet; look for it first")
        shown = kept(number, len(film.script.shots[place]))
        try:
            return (folder / _file(shown)).read_bytes()
        except OSError:
            return clear()


def _name(film: ScriptedFilm, place: int) -> str:
    """Changes with whatever changes what is found; who edits masks looks again by new settings."""
    config = film.settings(place)
    settings = to_dict(config.restore)
    for name in ("enabled", "heal", "weights", "deflicker", "steady"):
        del settings[name]
    text = json.dumps([before_name(film, place), settings, to_dict(config.cut)], sort_keys=True)
    return f"damage-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _file(number: int) -> str:
    return f"{number:06}.png"
