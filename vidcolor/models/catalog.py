"""What is known of weights that people published.

Written down here is where files lie, how large they are and what their checksum is. None of them
was fetched to write it: a checksum is entered where the authors state it, or where two sources
that do not know of each other agree; otherwise it is None, and keys and shapes are what is
checked. This module does not import torch.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vidcolor.errors import WeightsError

__all__ = ["Kind", "WeightFile", "WeightsSpec", "known_weights", "weights_spec"]

Kind = Literal["colorizer", "inpainter", "detector", "backbone", "metric"]


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file that somebody published.

    Attributes:
        name: File name in the cache and at a mirror (`--base-url`); no two files share one, though
            they may where they come from.
        url: Where it is, or None if no program can fetch it from there.
        sha256: Its SHA-256 in lower-case hex, or the digits known of its start; None if nobody
            published it. The network's keys and shapes are then all that is checked.
        size: Bytes, if known.
        sha1: Its SHA-1 in lower-case hex, where the authors state that instead.
        mirrors: Other places, tried in turn; only for a file with a checksum.
    """

    name: str
    url: str | None = None
    sha256: str | None = None
    size: int | None = None
    sha1: str | None = None
    mirrors: tuple[str, ...] = ()

    @property
    def published_name(self) -> str:
        """Its name where its authors have it, which others may share."""
        return self.url.partition("?")[0].rpartition("/")[2] if self.url else self.name


@dataclass(frozen=True, slots=True)
class WeightsSpec:
    """What is known of weights, and all that is needed to use them rightly.

    Attributes:
        name: As people write it.
        kind: "colorizer", "inpainter" (fills holes), "detector", "backbone" (what the training of
            a colorizer begins with) or "metric" (what a measure looks through).
        model: Registered network, or the name that others give theirs.
        license: SPDX name, of the weights as far as their authors say.
        source: Page of the authors.
        files: What they published; none: nobody published any that load here.
        settings: Of the network's builder.
        paper: Authors, title, venue, arXiv.
        notes: What one should know before using them.
        by_hand: How to get the files where no program can.
        non_commercial: The license forbids commercial use; `fetch` wants it accepted.
        shipped: Comes with the package.
        short_side: Short side of the network's picture that suits them; 0 is the network's own.
        foreign: Their form is another than ours: they are converted before they can be used.
        signs: Shapes of some entries, by which a file without a checksum is known whose network
            is not registered.
    """

    name: str
    kind: Kind
    model: str
    license: str
    source: str
    files: tuple[WeightFile, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    paper: str = ""
    notes: str = ""
    by_hand: str = ""
    non_commercial: bool = False
    shipped: bool = False
    short_side: int = 0
    foreign: bool = False
    signs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def converted(self) -> str:
        """Name of the file that `import_files` makes of a registered network's."""
        return f"{self.name}.safetensors"

    @property
    def registered(self) -> bool:
        """Whether `model` is a network of ours, so that all keys and shapes are known."""
        return self.kind in ("colorizer", "inpainter")


def known_weights() -> tuple[WeightsSpec, ...]:
    """All that the program knows of."""
    return _KNOWN


def weights_spec(name: str) -> WeightsSpec:
    """What is known of weights.

    Raises:
        WeightsError: If nothing of that name is known; the message has the nearest.
    """
    specs = {spec.name: spec for spec in known_weights()}
    if name in specs:
        return specs[name]
    of = [spec.name for spec in specs.values() if spec.model == name]
    if of:
        raise WeightsError(f"{name!r} is a network; weights for it: {', '.join(of)}")
    near = difflib.get_close_matches(name, specs, 1)
    hint = f"did you mean {near[0]!r}?" if near else "vidcolor weights list has those that are"
    raise WeightsError(f"unknown weights {name!r}, and no such file; {hint}")


# --- papers and places --------------------------------------------------------------------------

_ZHANG16 = "Zhang, Isola, Efros: Colorful Image Colorization. ECCV 2016. arXiv:1603.08511"
_ZHANG17 = (
    "Zhang, Zhu, Isola, Geng, Lin, Yu, Efros: Real-Time User-Guided Image Colorization with "
    "Learned Deep Priors. ACM Transactions on Graphics 36(4), 2017. arXiv:1705.02999"
)
_IIZUKA = (
    "Iizuka, Simo-Serra, Ishikawa: Let there be Color!: Joint End-to-end Learning of Global and "
    "Local Image Priors for Automatic Image Colorization with Simultaneous Classification. ACM "
    "Transactions on Graphics 35(4), 2016"
)
_DDCOLOR = (
    "Kang, Yang, Ouyang, Ren, Li, Xie: DDColor: Towards Photo-Realistic Image Colorization via "
    "Dual Decoders. ICCV 2023. arXiv:2212.11613"
)
_DEOLDIFY = "Antic: DeOldify, 2019 (no paper; https://github.com/jantic/DeOldify)"
_VGG = (
    "Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition. "
    "ICLR 2015. arXiv:1409.1556"
)
_RESNET = "He, Zhang, Ren, Sun: Deep Residual Learning. CVPR 2016. arXiv:1512.03385"
_CONVNEXT = "Liu et al.: A ConvNet for the 2020s. CVPR 2022. arXiv:2201.03545"
_LIU = (
    "Liu, Reda, Shih, Wang, Tao, Catanzaro: Image Inpainting for Irregular Holes Using Partial "
    "Convolutions. ECCV 2018. arXiv:1804.07723"
)
_LPIPS = (
    "Zhang, Isola, Efros, Shechtman, Wang: The Unreasonable Effectiveness of Deep Features as a "
    "Perceptual Metric. CVPR 2018. arXiv:1801.03924"
)

_TORCHVISION = "https://github.com/pytorch/vision"
_PYTORCH = "https://download.pytorch.org/models/"
_BERKELEY = "http://colorization.eecs.berkeley.edu/siggraph/models/"
_COLORIZERS = "https://colorizers.s3.us-east-2.amazonaws.com/"
_TSUKUBA = "http://iizuka.cs.tsukuba.ac.jp/data/"
_WASEDA = "http://hi.cs.waseda.ac.jp/~iizuka/data/"
_DEEPAI = "https://data.deepai.org/deoldify/"
_SPENSERCAI = "https://huggingface.co/spensercai/DeOldify/resolve/main/"


def _unpublished(model: str, config: str, notes: str) -> WeightsSpec:
    return WeightsSpec(
        name=model,
        kind="colorizer",
        model=model,
        license="that of whoever trains them",
        source="your own training",
        files=(),
        notes=notes,
        by_hand=(
            f"nobody publishes any that load here; train them (vidcolor train --config "
            f"configs/train/{config}), then --weights FILE, or once and for all: vidcolor "
            f"weights import {model} FILE; without training, --weights recipe runs the network "
            f"with meaningless colors"
        ),
    )


def _eccv16(name: str, temperature: float, notes: str) -> WeightsSpec:
    return WeightsSpec(
        name=name,
        kind="colorizer",
        model="eccv16",
        license="BSD-2-Clause",
        source="https://github.com/richzhang/colorization",
        files=(
            WeightFile(
                "colorization_release_v2-9b330a0b.pth",
                _COLORIZERS + "colorization_release_v2-9b330a0b.pth",
                "9b330a0bae53f4ded77b1e23defbf78beaa09c10ebc4c4999e8e4f4a160b93f9",
            ),
        ),
        settings={"width": 64, "temperature": temperature},
        paper=_ZHANG16,
        notes=notes,
    )


def _iizuka(name: str, file: WeightFile, labels: int, notes: str) -> WeightsSpec:
    return WeightsSpec(
        name=name,
        kind="colorizer",
        model="iizuka16",
        license="CC-BY-NC-SA-4.0",
        source="https://github.com/satoshiiizuka/siggraph2016_colorization",
        files=(file,),
        settings={"width": 64, "labels": labels},
        paper=_IIZUKA,
        notes=notes,
        by_hand=(
            f"the authors' page or an archive of it may still have {file.name}; then: vidcolor "
            f"weights import {name} {file.name}"
        ),
        non_commercial=True,
        foreign=True,
    )


def _ddcolor(
    name: str, repository: str, variant: str, notes: str, sha256: str | None, size: int | None
) -> WeightsSpec:
    return WeightsSpec(
        name=name,
        kind="colorizer",
        model="ddcolor",
        license="Apache-2.0",
        source=f"https://huggingface.co/piddnad/{repository}",
        # all of them are called "pytorch_model.bin" there
        files=(
            WeightFile(
                f"{repository}.pytorch_model.bin",
                f"https://huggingface.co/piddnad/{repository}/resolve/main/pytorch_model.bin",
                sha256,
                size,
            ),
        ),
        settings={"width": 64, "variant": variant},
        paper=_DDCOLOR,
        notes=notes,
        short_side=512,
    )


def _deoldify(name: str, file: WeightFile, variant: str, side: int, notes: str) -> WeightsSpec:
    return WeightsSpec(
        name=name,
        kind="colorizer",
        model="deoldify",
        license="MIT",
        source="https://github.com/jantic/DeOldify",
        files=(file,),
        settings={"width": 64, "variant": variant},
        paper=_DEOLDIFY,
        notes=notes,
        short_side=side,
    )


def _openmmlab(name: str, file: str, digits: str, notes: str) -> WeightsSpec:
    return WeightsSpec(
        name=name,
        kind="inpainter",
        model="partialconv",
        license="Apache-2.0",
        source="https://github.com/open-mmlab/mmagic/tree/main/configs/partial_conv",
        files=(
            WeightFile(
                file, f"https://download.openmmlab.com/mmediting/inpainting/pconv/{file}", digits
            ),
        ),
        settings={"width": 64, "channels": 3, "depth": 7, "scale": "signed", "first_bias": True},
        paper=_LIU,
        notes=f"{notes}; of OpenMMLab's training, 256x256",
        foreign=True,
    )


def _torchvision(
    name: str, kind: Kind, file: str, sha256: str, size: int | None, paper: str, notes: str
) -> WeightsSpec:
    return WeightsSpec(
        name=name,
        kind=kind,
        model=name,
        license="BSD-3-Clause",
        source=_TORCHVISION,
        files=(WeightFile(file, _PYTORCH + file, sha256, size),),
        paper=paper,
        notes=notes,
    )


def _convnext(size: str, dims: tuple[int, int], depth: int) -> WeightsSpec:
    file = f"convnext_{size}_22k_224.pth"
    return WeightsSpec(
        name=f"convnext_{size}_22k",
        kind="backbone",
        model=f"convnext_{size}",
        license="MIT",
        source="https://github.com/facebookresearch/ConvNeXt",
        files=(WeightFile(file, f"https://dl.fbaipublicfiles.com/convnext/{file}"),),
        paper=_CONVNEXT,
        notes=f"trained on ImageNet-22k; where DDColor's {size} variant begins",
        signs={
            "downsample_layers.0.0.weight": (dims[0], 3, 4, 4),
            f"stages.2.{depth - 1}.gamma": (dims[1],),
        },
    )


# --- the table ----------------------------------------------------------------------------------

_COLORIZER_WEIGHTS = (
    WeightsSpec(
        name="starter",
        kind="colorizer",
        model="quarternet",
        license="MIT (docs/starter.md)",
        source="trained by this project (configs/train/starter.toml)",
        files=(
            WeightFile(
                "starter.safetensors",
                None,
                "c693b891d4bcb7fdac20f59bca8792efeb7fb570bc6e6fac92444fef04db9663",
                15_320_408,
            ),
        ),
        notes="comes with the package",
        shipped=True,
    ),
    WeightsSpec(
        name="siggraph17",
        kind="colorizer",
        model="siggraph17",
        license="BSD-2-Clause",
        source="https://github.com/richzhang/colorization",
        files=(
            WeightFile(
                "siggraph17-df00044c.pth",
                _COLORIZERS + "siggraph17-df00044c.pth",
                "df00044c0a4d7c3edcecf6f75437ce346a66e7a42612d9b968e1a7e17dbc6f66",
                136_787_426,
            ),
        ),
        settings={"width": 64, "mask_cent": 0.0},
        paper=_ZHANG17,
        notes="trained on ImageNet",
    ),
    WeightsSpec(
        name="siggraph17-retrained",
        kind="colorizer",
        model="siggraph17",
        license="MIT",
        source="https://github.com/richzhang/colorization-pytorch",
        # on the server it is just "pytorch.pth"
        files=(WeightFile("siggraph17-retrained.pth", _BERKELEY + "pytorch.pth"),),
        settings={"width": 64, "mask_cent": 0.5},
        paper=_ZHANG17,
        notes="trained on ImageNet; where InstColorization's training starts",
    ),
    WeightsSpec(
        name="siggraph17-caffe",
        kind="colorizer",
        model="siggraph17",
        license="MIT",
        source="https://github.com/richzhang/colorization-pytorch",
        files=(WeightFile("siggraph17-caffe.pth", _BERKELEY + "caffemodel.pth"),),
        settings={"width": 64, "mask_cent": 0.0},
        paper=_ZHANG17,
        notes="trained on ImageNet; the paper's own, converted from Caffe",
    ),
    WeightsSpec(
        name="instcolor",
        kind="colorizer",
        model="instcolor",
        license="MIT",
        source="https://github.com/ericsujw/InstColorization",
        files=(
            WeightFile(
                "inst-colorizatioon_full_official_cocostuff-256x256-5b9d4eee.pth",
                "https://download.openmmlab.com/mmediting/inst_colorization/"
                "inst-colorizatioon_full_official_cocostuff-256x256-5b9d4eee.pth",
                "5b9d4eee",
            ),
        ),
        settings={
            "width": 64,
            "mask_cent": 0.5,
            "fuse_without_boxes": False,
            "mask_outside": False,
            "outward": False,
        },
        paper=("Su, Chu, Huang: Instance-aware Image Colorization. CVPR 2020. arXiv:2005.10825"),
        notes="trained on COCO-Stuff; fetched in OpenMMLab's conversion (MMagic, Apache-2.0)",
        by_hand=(
            "the authors' files are in checkpoints.zip on Google Drive, linked from their page "
            "and to be downloaded in a browser (id 1Xb-DKAA9ibCVLqm8teKd1MWk6imjwTBh); then: "
            "vidcolor weights import instcolor checkpoints.zip   (or the three files "
            "latest_net_G.pth latest_net_GF.pth latest_net_GComp.pth)"
        ),
        foreign=True,
    ),
    _eccv16("eccv16", 1.0, "trained on ImageNet; as released: the mean of the 313 bins, pale"),
    _eccv16("eccv16-annealed", 0.38, "the same file; as in the paper: the annealed mean, livelier"),
    _iizuka(
        "iizuka16",
        WeightFile(
            "colornet.t7",
            _TSUKUBA + "colornet.t7",
            sha1="d397faf0b63a173680824474bfeab4725c375ca2",
            mirrors=(_WASEDA + "colornet.t7",),
        ),
        205,
        "trained on MIT Places; about 663 MB",
    ),
    _iizuka(
        "iizuka16-imagenet",
        WeightFile(
            "colornet_imagenet.t7",
            _WASEDA + "colornet_imagenet.t7",
            sha1="36b3f03dab74262552dd63ee16b4e1df842a680f",
            # where its sister lies since the author moved
            mirrors=(_TSUKUBA + "colornet_imagenet.t7",),
        ),
        1000,
        "trained on ImageNet, for comparisons only, say its authors; about 665 MB",
    ),
    _ddcolor(
        "ddcolor-modelscope",
        "ddcolor_modelscope",
        "large",
        "its authors' default, for the best looking results",
        "d81711971ec59200da26d5e8a1afae8dd3778d495ea8ad7a7dadc769f403f7e7",
        911_914_869,
    ),
    _ddcolor(
        "ddcolor-paper",
        "ddcolor_paper",
        "large",
        "the network of the paper's tables; trained on ImageNet",
        None,
        None,
    ),
    _ddcolor(
        "ddcolor-artistic",
        "ddcolor_artistic",
        "large",
        "trained on artistic pictures too; fewer patches of odd color, say its authors",
        "5a076e84efce59848394f572a105f7b78f7f6e917f615d1ee88537241b96dca3",
        None,
    ),
    _ddcolor(
        "ddcolor-tiny",
        "ddcolor_paper_tiny",
        "tiny",
        "the small one of the paper; trained on ImageNet",
        "8a1277bc90a1bfbb6d2d83933a9a6bc821931879ca93e26e4fcec12165d41fce",
        None,
    ),
    _deoldify(
        "deoldify-artistic",
        WeightFile(
            "ColorizeArtistic_gen.pth",
            _DEEPAI + "ColorizeArtistic_gen.pth",
            "3f750246fa220529323b85a8905f9b49c0e5d427099185334d048fb5b5e22477",
            255_144_681,
            mirrors=(_SPENSERCAI + "ColorizeArtistic_gen.pth",),
        ),
        "artistic",
        560,
        "stills, vivid",
    ),
    _deoldify(
        "deoldify-stable",
        WeightFile(
            "ColorizeStable_gen.pth",
            _SPENSERCAI + "ColorizeStable_gen.pth",
            "ca9cd7f43fb8b222c9a70f7b292e305a000694b0ff9d2ae4a6747b1a2e1ee5af",
            874_066_230,
            mirrors=("https://www.dropbox.com/s/axsd2g85uyixaho/ColorizeStable_gen.pth?dl=1",),
        ),
        "wide",
        560,
        "stills, landscapes and portraits, safe",
    ),
    _deoldify(
        "deoldify-video",
        WeightFile(
            "ColorizeVideo_gen.pth",
            _DEEPAI + "ColorizeVideo_gen.pth",
            "e3d98bb6a222354c79f95485c2f078a89dc724e9183662506d9e0f5aafac83ad",
            874_066_230,
            mirrors=(_SPENSERCAI + "ColorizeVideo_gen.pth",),
        ),
        "wide",
        336,
        "video; muted and steady",
    ),
    _unpublished(
        "hypercolumn",
        "seed-hypercolumn.toml",
        "Larsson's Caffe files are of another network and do not load here",
    ),
    _unpublished(
        "residual_encoder",
        "seed-residual-encoder.toml",
        "Dahl's TensorFlow graph is for non-commercial use only and does not load here",
    ),
)

_INPAINTER_WEIGHTS = (
    WeightsSpec(
        name="repair",
        kind="inpainter",
        model="partialconv",
        license="MIT",
        source="trained by this project (configs/train/partialconv-film.toml)",
        files=(
            WeightFile(
                "repair.safetensors",
                None,
                "56c7765b41fc66748e02ba9952abf34423d565ab3d652a6fc6de0868bb15e2b4",
                3288158,
            ),
        ),
        paper=_LIU,
        notes="thin damage of film, one channel; comes with the package",
        shipped=True,
    ),
    WeightsSpec(
        name="partialconv-naoto0804",
        kind="inpainter",
        model="partialconv",
        license="MIT",
        source="https://github.com/naoto0804/pytorch-inpainting-with-partial-conv",
        files=(WeightFile("1000000.pth"),),
        settings={"width": 64, "channels": 3, "depth": 7, "scale": "imagenet"},
        paper=_LIU,
        notes="trained on Places2 at 256x256, fine-tuned; its author does not ensure the quality",
        by_hand=(
            "the file is on Google Drive, linked from the author's page and to be downloaded in a "
            "browser (id 1SYjJ-Vlu2cpAlgBG5FiJueN9W4lf48w8); then: vidcolor weights import "
            "partialconv-naoto0804 FILE"
        ),
        foreign=True,
    ),
    _openmmlab(
        "partialconv-places",
        "pconv_256x256_stage2_4x2_places_20200619-1ffed0e8.pth",
        "1ffed0e8",
        "trained on Places365",
    ),
    _openmmlab(
        "partialconv-celeba",
        "pconv_256x256_stage2_4x2_celeba_20200619-860f8b95.pth",
        "860f8b95",
        "trained on CelebA, for faces",
    ),
)

_DETECTOR_WEIGHTS = (
    WeightsSpec(
        name="fasterrcnn_mobilenet_v3_large_320_fpn",
        kind="detector",
        model="fasterrcnn_mobilenet_v3_large_320_fpn",
        license="BSD-3-Clause",
        source=_TORCHVISION,
        files=(
            WeightFile(
                "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth",
                _PYTORCH + "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth",
                "907ea3f91ff92242bc1baea8049276a3e76bca48ce7560bd268cc029f37977b5",
                77_844_807,
            ),
        ),
        paper=(
            "Ren, He, Girshick, Sun: Faster R-CNN. NeurIPS 2015. arXiv:1506.01497; Howard et "
            "al.: Searching for MobileNetV3. ICCV 2019. arXiv:1905.02244"
        ),
        notes="trained on COCO, box AP 22.8",
    ),
    WeightsSpec(
        name="maskrcnn_resnet50_fpn_v2",
        kind="detector",
        model="maskrcnn_resnet50_fpn_v2",
        license="BSD-3-Clause",
        source=_TORCHVISION,
        files=(
            WeightFile(
                "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
                _PYTORCH + "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
                "73cbd0190fcbe3ba339921fbce2c3a0b6bb9126c9a133c85e43a2a8e060a109e",
                185_828_065,
            ),
        ),
        paper=(
            "He, Gkioxari, Dollar, Girshick: Mask R-CNN. ICCV 2017. arXiv:1703.06870; Li et al.: "
            "Benchmarking Detection Transfer Learning with Vision Transformers. arXiv:2111.11429"
        ),
        notes="trained on COCO, box AP 47.4",
    ),
)

_BACKBONE_WEIGHTS = (
    _torchvision(
        "vgg16",
        "backbone",
        "vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        553_433_881,
        _VGG,
        "trained on ImageNet; trunk of hypercolumn and residual_encoder, and of LPIPS-VGG",
    ),
    _torchvision(
        "vgg16_bn",
        "backbone",
        "vgg16_bn-6c64b313.pth",
        "6c64b3138f2f4fcb3bcc4cafde11619c4f440eb1631787e93a682fd88305888a",
        553_507_836,
        _VGG,
        "trained on ImageNet; through which DDColor's perceptual loss looks",
    ),
    _torchvision(
        "resnet34",
        "backbone",
        "resnet34-b627a593.pth",
        "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
        87_319_819,
        _RESNET,
        "trained on ImageNet; where DeOldify's artistic variant begins",
    ),
    _torchvision(
        "resnet101",
        "backbone",
        "resnet101-63fe2227.pth",
        "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a",
        None,
        _RESNET,
        "trained on ImageNet; where DeOldify's wide variant begins",
    ),
    _convnext("tiny", (96, 384), 9),
    _convnext("large", (192, 768), 27),
)

_METRIC_WEIGHTS = (
    _torchvision(
        "alexnet",
        "metric",
        "alexnet-owt-7be5be79.pth",
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        244_408_911,
        _LPIPS,
        "trained on ImageNet; LPIPS looks through it (the package lpips has the rest)",
    ),
    WeightsSpec(
        name="inception",
        kind="metric",
        model="inception_v3 of 2015-12-05",
        license="Apache-2.0",
        source="https://github.com/toshas/torch-fidelity",
        files=(
            WeightFile(
                "weights-inception-2015-12-05-6726825d.pth",
                "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
                "weights-inception-2015-12-05-6726825d.pth",
                "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
                95_628_359,
            ),
        ),
        paper=(
            "Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter: GANs Trained by a Two "
            "Time-Scale Update Rule Converge to a Local Nash Equilibrium. NeurIPS 2017. "
            "arXiv:1706.08500"
        ),
        notes="of FID, as all papers measure it: TensorFlow's network, converted",
    ),
)

_KNOWN = (
    *_COLORIZER_WEIGHTS,
    *_INPAINTER_WEIGHTS,
    *_DETECTOR_WEIGHTS,
    *_BACKBONE_WEIGHTS,
    *_METRIC_WEIGHTS,
)
