"""Cuts the numbers that the tests carry out of full parity fixtures.

Usage: python scripts/record_parity_excerpt.py FIXTURE.npz KIND OUTPUT.npz

KIND is a key of `CASES`. Inputs stay whole, outputs are kept at every few rows and
columns (`stride` in the index, which scripts/check_parity.py honors). The full fixtures were
recorded from ericsujw/InstColorization at commit 1ce3d25 and from the `colorizers` package of
richzhang/colorization, run on a CPU in float32.
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
SOURCES = {
    "fusion": INSTCOLOR,
    "pieces": INSTCOLOR,
    "pictures": INSTCOLOR,
    "siggraph17": "colorizers package of richzhang/colorization, run on a CPU in float32",
}

# cases with the stride of their outputs; which arrays of a case are left out
CASES: dict[str, dict[str, int]] = {
    "fusion": {"recipe": 1, "net_n3_hint": 4, "grad_n3": 1},
    "pieces": {"color": 1, "boxinfo": 1, "topn8": 1, "topn_all": 1, "loss": 1},
    "pictures": {"net_n0": 4, "e2e_n3": 4},
    "siggraph17": {"recipe": 1, "sq_auto": 4, "rect_hint": 2},
}
DROPPED = ("/gcomp_class_sub", "/inst/", "/wmap/", "/fused/", "/gradnorm/", "/act/")
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
)
OUTPUTS = ("gcomp_out", "fusion_out", "fusion_out_zero_instances", "out_ab")


def main(arguments: list[str] | None = None) -> int:
    """Write the excerpt."""
    parser = argparse.ArgumentParser(description="Cut the tests' numbers out of a fixture.")
    parser.add_argument("fixture")
    parser.add_argument("kind", choices=sorted(CASES))
    parser.add_argument("output", type=Path)
    args = parser.parse_args(arguments)
    full = np.load(args.fixture)
    index = json.loads(str(full["index_json"]))
    wanted = CASES[args.kind]
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
            elif tail == "/rgb8":
                value = value[::stride, ::stride]
            arrays[key] = value
    index = {"meta": {**index["meta"], "source": SOURCES[args.kind]}, "cases": cases}
    arrays["index_json"] = np.array(json.dumps(index))
    np.savez_compressed(args.output, **arrays)
    size = args.output.stat().st_size
    print(f"{args.output}: {len(cases)} cases, {size} bytes")
    return 0 if size <= MOST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
