import numpy as np
import pytest
import torch
from media import make_video, read_luma

import vidcolor
from vidcolor import build
from vidcolor.api import make_config
from vidcolor.config import Config
from vidcolor.errors import ConfigError
from vidcolor.models.registry import create_model
from vidcolor.models.weights import save_weights


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    torch.manual_seed(1)
    model = create_model("quarternet", width=8)
    torch.nn.init.normal_(model.fusion.last.head.weight, std=0.4)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, model, "quarternet", {"width": 8}, {})
    return {"weights": str(path), "detector": "none", "colorize": {"short_side": 64}}


def test_short_names_and_tables_make_one_config():
    config = make_config(crf=20, stabilize={"tau": 4.0}, detector="none", device="cpu")
    assert (config.output.crf, config.stabilize.tau, config.detect.detector) == (20, 4.0, "none")
    alone = make_config(stabilize=False, crf=20)
    stages = (alone.stabilize, alone.anchor, alone.remember)
    assert [stage.enabled for stage in stages] == [False] * 3
    assert (alone.cadence.cadence, alone.output.crf) == ("every", 20)
    assert make_config(stabilize=False, cadence="4").cadence.cadence == "4"
    assert make_config(config, crf=22).stabilize.tau == 4.0
    assert make_config() == Config()
    with pytest.raises(ConfigError, match="did you mean 'stabilize'"):
        make_config(stabilise={})
    with pytest.raises(ConfigError, match="tau"):
        make_config(stabilize={"tau": "x"})


def test_pictures_keep_their_luma_and_load_the_network_once(options, monkeypatch):
    loads = []
    real = build.load_model
    monkeypatch.setattr(build, "load_model", lambda *a: loads.append(a) or real(*a))
    build._load.cache_clear()
    gray = np.random.default_rng(0).integers(0, 256, (70, 90), dtype=np.uint8)
    gray = np.asarray(gray // 8 * 4 + 60, np.uint8)
    rgb = vidcolor.colorize_image(gray, **options)
    assert rgb.shape == (70, 90, 3)
    assert rgb.dtype == np.uint8
    assert np.abs(rgb.astype(float) @ (0.2126, 0.7152, 0.0722) - gray).max() < 1
    assert np.ptp(rgb, axis=2).max() > 5
    again = vidcolor.colorize_image(np.dstack([gray] * 3), **options)
    assert np.array_equal(rgb, again)
    vidcolor.colorize_image(gray[:50], **options)
    assert len(loads) == 1
    for wrong in (gray.astype(np.float32), gray[None], np.dstack([gray] * 4)):
        with pytest.raises(ValueError, match="picture must be uint8"):
            vidcolor.colorize_image(wrong, **options)


def test_videos(options, tmp_path):
    film = make_video(tmp_path / "in.mkv", frames=10)
    counted = []
    done = vidcolor.colorize_video(
        film.path, tmp_path / "out.mkv", progress=counted.append, codec="ffv1", **options
    )
    assert done == sum(counted) == 10
    assert all(
        np.array_equal(a, b)
        for a, b in zip(film.luma, read_luma(tmp_path / "out.mkv")[0], strict=True)
    )


def test_the_package_imports_nothing_heavy_until_asked():
    import subprocess
    import sys

    code = "import sys, vidcolor; assert vidcolor.__version__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'colorise_video'"):
        vidcolor.colorise_video  # noqa: B018
