"""All settings of repair, joined."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vidcolor.repair.bands import BandConfig
from vidcolor.repair.burns import BurnConfig
from vidcolor.repair.dust.detector import DustConfig
from vidcolor.repair.hair import HairConfig
from vidcolor.repair.heal.healer import HealConfig
from vidcolor.repair.level import DeflickerConfig
from vidcolor.repair.lines.detector import LineConfig
from vidcolor.repair.motion import FollowConfig
from vidcolor.repair.pane import PaneConfig
from vidcolor.repair.sensitivity import Sensitivity
from vidcolor.repair.steady import SteadyConfig
from vidcolor.repair.still import StillConfig

__all__ = ["RestoreConfig"]


@dataclass(frozen=True, slots=True)
class RestoreConfig:
    """How damage is found and healed.

    Attributes:
        enabled: Heal the film before it is colored; `vidcolor restore` always does.
        sensitivity: "low", "normal", "high" or "maximum": how little makes damage. False repairs
            cost more than dust that is missed, so go up only as far as needed. A detector whose own
            is not normal keeps it.
        find: Look for damage: "auto" does unless `masks` are given, "on" does beside them, "off"
            heals only what they mark.
        masks: Your own damage, white in a picture for all frames, a folder of pictures numbered by
            frame from 0, or a gray film.
        protect: Masks of what is never touched.
        spots: Spots as `--spots-out` wrote them, edited: which to repair, which not.
        weights: Network that fills what no other frame knows: "auto" is what ships, or the
            classical method where that is better; "none" is the classical method (Telea); else
            a name or file of weights.
        motion: How motion is found.
        pane: How the picture is told from black bars.
        dust: Marks of single frames.
        lines: Vertical scratches.
        hair: Hairs that stay in the gate.
        bands: Bands of splices.
        burns: Burns and decay, for review only.
        still: Damage of single pictures.
        heal: How holes are filled.
        deflicker: Pulsing light leveled; changes luma everywhere, off by default.
        steady: A shaking picture held; changes luma everywhere, off by default.
    """

    enabled: bool = False
    sensitivity: Sensitivity = "normal"
    find: Literal["auto", "on", "off"] = "auto"
    masks: str | None = None
    protect: str | None = None
    spots: str | None = None
    weights: str = "auto"
    motion: FollowConfig = field(default_factory=FollowConfig)
    pane: PaneConfig = field(default_factory=PaneConfig)
    dust: DustConfig = field(default_factory=DustConfig)
    lines: LineConfig = field(default_factory=LineConfig)
    hair: HairConfig = field(default_factory=HairConfig)
    bands: BandConfig = field(default_factory=BandConfig)
    burns: BurnConfig = field(default_factory=BurnConfig)
    still: StillConfig = field(default_factory=StillConfig)
    heal: HealConfig = field(default_factory=HealConfig)
    deflicker: DeflickerConfig = field(default_factory=DeflickerConfig)
    steady: SteadyConfig = field(default_factory=SteadyConfig)

    @property
    def finds(self) -> bool:
        """Whether damage is looked for."""
        return self.find == "on" or (self.find == "auto" and self.masks is None)
