"""Small pictures of known color, and networks of one color, for the tests of data sets."""

import cv2
import numpy as np
import skimage.color
import skimage.metrics
import torch

from vidcolor.evaluate.sets.config import PicturesConfig
from vidcolor.evaluate.sets.pictures import PictureJob
from vidcolor.models.registry import create_model
from vidcolor.models.weights import save_weights
from vidcolor.schema import load, merge

FLOAT = {"line": {"precision": "float32", "device": "cpu"}}
BT709 = np.array([0.2126, 0.7152, 0.0722])


def one_color(path, a, b):
    """A network that gives everything one color, with instances or without."""
    model = create_model("quarternet", width=8)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("head.bias"):
                value.copy_(torch.tensor([a / 10, b / 10]))
    save_weights(path, model, "quarternet", {"width": 8}, {})
    return str(path)


def smooth(seed, size=(64, 96), low=70, high=180):
    small = np.random.default_rng(seed).uniform(low, high, (5, 6, 3)).astype(np.float32)
    soft = cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.rint(soft).clip(0, 255).astype(np.uint8)


def colored(rgb, a, b):
    """The picture in one a*b* under its own L*."""
    lab = skimage.color.rgb2lab(rgb)
    lab[..., 1], lab[..., 2] = a, b
    return np.rint(skimage.color.lab2rgb(lab) * 255).astype(np.uint8)


def luma_alone(rgb):
    return np.repeat(np.rint(rgb @ BT709).astype(np.uint8)[..., None], 3, axis=2)


def psnr(pred, true):
    return skimage.metrics.peak_signal_noise_ratio(true, pred)


def write_png(path, rgb):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]))
    return path


def job(data, folder=None, **settings):
    return PictureJob([str(one) for one in data], load(PicturesConfig, merge(FLOAT, settings)),
                      folder)  # fmt: skip


def run(data, folder=None, **settings):
    return job(data, folder, **settings).run(lambda count: None)


def rows(report, level="picture"):
    (found,) = [one for one in report.levels if one.level == level]
    return {row.name: dict(row.scores) for row in found.rows}
