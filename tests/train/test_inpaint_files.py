"""The training files of networks that fill holes: the numbers of the paper, and the twin."""

from dataclasses import replace
from pathlib import Path

import pytest

from vidcolor.errors import ConfigError
from vidcolor.models.registry import create_model
from vidcolor.schema import leaves, parse, put, read_toml
from vidcolor.train.inpaint.config import InpaintConfig
from vidcolor.train.kinds import COLOR, INPAINT, kind_of
from vidcolor.train.plan import flags, plan

FILES = Path(__file__).parents[2] / "configs" / "train"


def _plan(name, over=None):
    return plan(read_toml(FILES / f"partialconv-{name}.toml"), over)


def test_numbers_of_the_paper():
    first, second = _plan("paper")
    weights = {"valid": 1.0, "hole": 6.0, "perceptual": 0.05, "style": 120.0, "tv": 0.1}
    assert first.phase.weights() == second.phase.weights() == weights
    assert (first.fit.lr, second.fit.lr) == (2e-4, 5e-5)
    assert (first.phase.freeze_norms, second.phase.freeze_norms) == ("none", "all")
    assert second.phase.start_from == first.run.folder
    assert (first.data.sizes, first.data.batch_size, first.fit.optimizer) == ((512,), 6, "adam")
    assert first.fit.weight_decay is None  # none for "adam"
    model = create_model(first.model.name, **first.model.builder_settings())
    # as counted in the public network of eight layers and three channels
    assert sum(p.numel() for p in model.parameters()) == 32_859_732
    ranges = [(low, high) for low, high, _ in first.holes.ranges()]
    assert ranges == [(0.01, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6)]


def test_the_twin_differs_in_its_layers_only():
    for film, twin in zip(_plan("film"), _plan("film-ordinary"), strict=True):
        own = film.model.builder_settings()
        assert twin.model.builder_settings() == own | {"layer": "ordinary"}
        start = film.phase.start_from.replace("partialconv-film", "partialconv-film-ordinary")
        assert twin == replace(
            film,
            model=twin.model,
            phase=replace(film.phase, start_from=start),
            run=replace(film.run, folder=twin.run.folder),
        )


def test_what_repair_uses_is_small_and_gray():
    first, second = _plan("film")
    model = create_model(first.model.name, **first.model.builder_settings())
    assert sum(2 * p.numel() for p in model.parameters()) < 6e6
    assert (first.channels, model.channels, model.multiple) == (1, 1, 32)
    assert (first.phase.freeze_norms, second.phase.freeze_norms) == ("none", "statistics")
    assert not first.phase.features


def test_the_network_says_of_what_kind_a_file_is():
    data = read_toml(FILES / "partialconv-film.toml")
    assert kind_of(data) == INPAINT
    assert kind_of(data, {"model": {"name": "quarternet"}}) == COLOR
    assert kind_of({}) == kind_of(read_toml(FILES / "starter.toml")) == COLOR
    assert all(isinstance(run, InpaintConfig) for run in plan(data))
    with pytest.raises(ConfigError, match=r"unknown phase 'full'; known: inpaint$"):
        plan(data | {"phases": ["full"]})


def test_flags_reach_the_settings_of_this_kind():
    known, over = flags(INPAINT), {}
    for name, text in (
        ("holes.kinds", "thin,walk"),
        ("inpaint-2.phase.freeze_norms", "all"),
        ("model.settings", "channels=3,depth=5"),
        ("phase.hole", "7"),
    ):
        put(over, known[name].path, parse(text, known[name]))
    off = dict.fromkeys(("stock", "tone", "blur", "grain"), 0.0)
    first, second = _plan("film", over | {"degrade": off})
    assert first.holes.kinds == second.holes.kinds == ("thin", "walk")
    assert (first.phase.freeze_norms, second.phase.freeze_norms) == ("none", "all")
    assert first.channels == 3
    assert second.phase.hole == 7.0
    assert "phase.delta" not in known
    assert "phase.delta" in flags(COLOR)


def test_every_setting_is_explained():
    assert [leaf.name for leaf in leaves(InpaintConfig) if not leaf.help] == []
