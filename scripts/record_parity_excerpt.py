"""Cuts the numbers that the tests carry out of full parity fixtures.

Usage: python scripts/record_parity_excerpt.py FIXTURE.npz KIND OUTPUT.npz

KIND is a key of `CASES`, of `PUBLISHED` for an archive without an index, or of `LISTED` for one
with a manifest. Inputs stay whole,
outputs are kept at every few rows and columns (`stride` in the index, which
scripts/check_parity.py honors). The full fixtures were recorded from the code that `SOURCES` names.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

MOST_BYTES = 50_000
INSTCOLOR = "ericsujw/InstColorization @1ce3d25, run on a CPU in float32"
COLORIZERS = "colorizers package of richzhang/colorization, run on a CPU in float32"
SOURCES = {
    "ddcolor": "piddnad/DDColor @2adb63f, tiny, run on a CPU in float64",
    "deoldify": "jantic/DeOldify @5f86c28, artistic, run on a CPU in float64",
    "eccv16": COLORIZERS,
    "fusion": INSTCOLOR,
    "pieces": INSTCOLOR,
    "pictures": INSTCOLOR,
    "partialconv": (
        "NVIDIA/partialconv @610d373 and naoto0804/pytorch-inpainting-with-partial-conv @8d64e7e, "
        "run on a CPU in float64"
    ),
    "partialconv_loss": "naoto0804/pytorch-inpainting-with-partial-conv @8d64e7e, in float64",
    "siggraph17": COLORIZERS,
}

# cases with the stride of their outputs; which arrays of a case are left out
CASES: dict[str, dict[str, int]] = {
    "eccv16": {"recipe": 1, "sq": 4, "rect": 2, "demo": 4},
    "fusion": {"recipe": 1, "net_n3_hint": 4, "grad_n3": 1},
    "pieces": {"color": 1, "boxinfo": 1, "topn8": 1, "topn_all": 1, "loss": 1},
    "pictures": {"net_n0": 4, "e2e_n3": 4},
    "siggraph17": {"recipe": 1, "sq_auto": 4, "rect_hint": 2},
}
DROPPED = (
    "/gcomp_class_sub", "/inst/", "/wmap/", "/fused/", "/gradnorm/", "/act/", "/L_orig", "/L_rs",
)  # fmt: skip
KEPT = (
    "/inst/conv8_up/head",
    "/inst/conv9_up/head",
    "/inst/conv10_up/head",
    "/inst/conv10_2/head",
    "/fused/weight_layer/head",
    "/fused/weight_layer4/head",
    "/fused/weight_layer7/head",
    "/fused/weight_layer8_1/head",
    "/fused/weight_layer9_1/head",
    "/fused/weight_layer10_2/head",
    "/wmap/weight_layer4/stats",
    "/wmap/weight_layer8_1/stats",
    "/wmap/weight_layer10_2/stats",
    "/gradnorm/weight_layer.simple_instance_conv.0.weight",
    "/gradnorm/weight_layer5.simple_bg_conv.2.bias",
    "/gradnorm/weight_layer8_1.simple_instance_conv.4.bias",
    "/gradnorm/weight_layer10_2.simple_bg_conv.0.weight",
    "/gradnorm/model10.1.weight",
    "/gradnorm/model_out.0.bias",
    "/act/model1/stats",
    "/act/model7/stats",
    "/act/model10/head",
    "/act/softmax/head",
    "/act/model_out/head",
)
OUTPUTS = ("gcomp_out", "fusion_out", "fusion_out_zero_instances", "out_ab")

# of archives without an index, which are one case: its name, and what is kept of which array. Of
# the input one channel is enough, since the others follow from it
PUBLISHED: dict[str, tuple[str, dict[str, str]]] = {
    "ddcolor": (
        "tiny",
        {
            "x": "channel", "out": "strided", "act_arch_norm3": "whole", "act_layers_0": "whole",
            "pic_grey_bgr": "whole", "pic_grey_out_bgr": "pixels",
        },
    ),
    "deoldify": (
        "artistic",
        {
            "x_odd": "channel", "out_odd": "strided", "pic_render_factor": "whole",
            "pic_rgb": "whole", "pic_square_rgb": "pixels", "pic_raw_rgb": "pixels",
            "pic_out_rgb": "pixels",
        },
    ),
}  # fmt: skip
# of archives with a manifest: cases with the stride of their outputs, the arrays that have one,
# what is kept of which cases only, and the entries of the manifest that the cases need
LISTED: dict[str, dict[str, int]] = {
    "partialconv": {
        "layer_08": 4, "layer_31": 4, "layer_34": 1, "layer_36": 1, "layer_38": 2, "layer_39": 2,
        "layer_40": 4, "layer_41": 2, "layer_42": 4, "layer_43": 2, "layer_44": 2, "layer_45": 3,
        "layer_46": 3, "layer_47": 4, "count_01": 4, "count_02": 4, "count_03": 1,
        "unet_5_empty": 8, "unet_5_train": 8, "unet_5_finetune": 8,
    },
    "partialconv_loss": {"loss_rgb": 2, "loss_gray": 2},
}  # fmt: skip
STRIDED = ("out", "mask_out", "ratio", "grad_x", "grad_out")
INSIDE = {"trace_": ("unet_5_train",), "mask_enc": ("unet_5_empty",), "mask_dec": ()}
HEADS = ("format", "salt", "recipe_check", "input_check")
STRIDE = 4
PUBLISHED_SALT = "colorizers-public-1"


def published(path: str, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Index and arrays of an archive without an index."""
    full = np.load(path)
    name, wanted = PUBLISHED[kind]
    wanted = {**{key: "whole" for key in full.files if key.startswith("w_")}, **wanted}
    part = {
        "whole": ...,
        "channel": np.s_[:, :1],
        "strided": np.s_[:, :, ::STRIDE, ::STRIDE],
        "pixels": np.s_[::STRIDE, ::STRIDE],
    }
    arrays = {f"{name}/{key}": full[key][part[kept]] for key, kept in wanted.items()}
    case = {"name": name, "kind": kind, "stride": STRIDE}
    return {"meta": {"salt": PUBLISHED_SALT, "source": SOURCES[kind]}, "cases": [case]}, arrays


def indexed(path: str, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Index and arrays of an archive with one."""
    full = np.load(path)
    index = json.loads(str(full["index_json"]))
    wanted = CASES[kind]
    cases = []
    arrays: dict[str, Any] = {}
    for case in index["cases"]:
        name = case["name"]
        if name not in wanted:
            continue
        stride = wanted[name]
        cases.append({**case, "stride": stride} if stride > 1 else case)
        for key in full.files:
            if not key.startswith(f"{name}/"):
                continue
            tail = key.removeprefix(name)
            if any(part in tail for part in DROPPED) and tail not in KEPT:
                continue
            value = full[key]
            if tail[1:] in OUTPUTS:
                value = value[:, :, ::stride, ::stride]
            elif tail in ("/rgb8", "/rgb"):
                value = value[::stride, ::stride]
            arrays[key] = value
    return {"meta": {**index["meta"], "source": SOURCES[kind]}, "cases": cases}, arrays


def listed(path: str, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Manifest and arrays of an archive with one."""
    full = np.load(path)
    manifest = json.loads(full["__manifest__"].tobytes())
    cases = {}
    arrays: dict[str, Any] = {}
    for name, stride in LISTED[kind].items():
        case = manifest["cases"][name]
        step = stride * case.get("stride", 1)
        cases[name] = {key: value for key, value in case.items() if key not in ("arrays", "keys")}
        cases[name]["stride"] = step
        for key in case["arrays"]:
            if any(key.startswith(part) and name not in of for part, of in INSIDE.items()):
                continue
            value = full[f"{name}/{key}"]
            arrays[f"{name}/{key}"] = value[:, :, ::stride, ::stride] if key in STRIDED else value
    heads = {key: manifest[key] for key in HEADS}
    return {**heads, "source": SOURCES[kind], "cases": cases}, arrays


def main(arguments: list[str] | None = None) -> int:
    """Write the excerpt."""
    parser = argparse.ArgumentParser(description="Cut the tests' numbers out of a fixture.")
    parser.add_argument("fixture")
    parser.add_argument("kind", choices=sorted({*CASES, *PUBLISHED, *LISTED}))
    parser.add_argument("output", type=Path)
    args = parser.parse_args(arguments)
    if args.kind in LISTED:
        index, arrays = listed(args.fixture, args.kind)
        arrays["__manifest__"] = np.frombuffer(json.dumps(index).encode(), np.uint8)
    else:
        excerpt = published if args.kind in PUBLISHED else indexed
        index, arrays = excerpt(args.fixture, args.kind)
        arrays["index_json"] = np.array(json.dumps(index))
    np.savez_compressed(args.output, **arrays)
    size = args.output.stat().st_size
    print(f"{args.output}: {len(index['cases'])} cases, {size} bytes")
    return 0 if size <= MOST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
