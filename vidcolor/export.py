"""Colorizers as files for other programs: ONNX and torch.export, each checked against PyTorch.

What is exported is the contract of a colorizer: L* in, a*b* out, and if asked for two more inputs,
hints or vectors of whole pictures, where the network takes them. Any number of pictures of any size
goes in, unless one size is named. Norms on weights are worked into them first. The file is read
back and must answer as the network does; otherwise there is no file.
"""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional as F

from vidcolor.build import chosen_weights
from vidcolor.errors import ConfigError, WeightsError
from vidcolor.io.target import Target
from vidcolor.models.download import file_sha256
from vidcolor.models.onnx import (
    CARD_KEY,
    EXPORTED,
    INSTALL,
    ExportCard,
    open_onnx,
)
from vidcolor.models.registry import Folds, ModelSpec, SeesWhole, model_spec
from vidcolor.models.weights import (
    RECIPE,
    WeightsSpec,
    identify,
    known_weights,
    load_model,
    read_card,
)
from vidcolor.records import Hints
from vidcolor.stages.colorize import ColorizeConfig

__all__ = ["LIMIT", "OPSET", "ExportReport", "export_colorizer"]

LIMIT = 5e-5
"""Largest difference from PyTorch, as a part of the largest |a*b*| (of at least 1)."""

OPSET = 18
"""Of ONNX: the first that every version of PyTorch's exporter writes by itself."""

_OPSETS = range(18, 25)
_LEAST_PX = 64  # of a side: the least that `ColorizeConfig.short_side` allows
_MOST_BYTES = 2_000_000_000  # of one ONNX file
_NOISE = 8.0  # times what PyTorch's two kernels differ by
_MOST_NOISE = 0.01  # of the largest |a*b*|
_SEED = 5
_LOUD = ("onnxscript", "onnx_ir", "torch.onnx")  # loggers that tell of each node


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written.

    Attributes:
        path: The file.
        card: What it says of itself.
        size_bytes: Of the file.
        difference: Largest |difference| of a*b* from what PyTorch says.
        allowed: What it may have been.
        largest: Largest |a*b*| that PyTorch said.
        compared: Inputs, `(pictures, height, width)`.
    """

    path: Path
    card: ExportCard
    size_bytes: int
    difference: float
    allowed: float
    largest: float
    compared: tuple[tuple[int, int, int], ...]


def export_colorizer(
    weights: str,
    output: Path,
    *,
    colorizer: str = "auto",
    size: tuple[int, int] | None = None,
    hints: bool = False,
    whole: bool = False,
    opset: int = OPSET,
    overwrite: bool = False,
) -> ExportReport:
    """Write a colorizer for other programs, and see that it says the same there.

    Args:
        weights: Name of known weights, a file, or "recipe".
        output: Ends in `.onnx` or `.pt2`.
        colorizer: The network, needed for "recipe"; "auto" is that of the weights.
        size: `(height, width)` of the only pictures that the file takes; None: of any size.
        hints: With inputs for given colors.
        whole: With inputs and an output for vectors of whole pictures.
        opset: Version of ONNX's operators.
        overwrite: Whether `output` may be replaced.

    Raises:
        ConfigError: If the network cannot do what is asked for.
        WeightsError: If the weights cannot be used, or the file does not answer as the network.
        MediaError: If the file cannot be written.
    """
    if output.suffix not in EXPORTED:
        raise ConfigError(f"{output}: is exported as {' or '.join(EXPORTED)}; name it so")
    if opset not in _OPSETS:
        raise ConfigError(f"opset must be {_OPSETS[0]} to {_OPSETS[-1]}, not {opset}")
    if output.suffix == ".onnx":
        _need_packages()
    module, card, source = _load(weights, colorizer, size, hints, whole)
    target = Target(output, overwrite, [source] if source else [])
    try:
        asked = _questions(card)
        with torch.inference_mode():
            expected = [_several(module(*given)) for given in asked]
        program = _trace(module, card, prune=output.suffix == ".pt2")
        if output.suffix == ".onnx":
            answer = _write_onnx(program, card, target.temporary, opset)
        else:
            answer = _write_pt2(program, card, target.temporary)
        largest = max(float(one.abs().max()) for wanted in expected for one in wanted)
        if not math.isfinite(largest):
            raise WeightsError(
                f"{weights}: {card.model} answers what is no number, also in PyTorch"
            )
        try:
            difference = _difference(answer, asked, expected)
        except (AssertionError, RuntimeError) as error:  # of PyTorch, about sizes
            raise WeightsError(f"{output}: does not run: {_line(error)}") from error
        allowed = LIMIT * max(largest, 1.0)
        if not difference <= allowed:
            allowed = max(allowed, _noise(module, asked, expected, largest))
        if not difference <= allowed:
            raise WeightsError(
                f"{output}: differs from {card.model} by {difference:.3g} of a*b* up to "
                f"{largest:.3g}, more than {allowed:.3g}; nothing was written"
            )
        size_bytes = target.temporary.stat().st_size
        path = target.land()
    finally:
        target.discard()
    sizes = tuple((len(given[0]), *given[0].shape[2:]) for given in asked)
    return ExportReport(path, card, size_bytes, difference, allowed, largest, sizes)


Tensors = tuple[Tensor, ...]


class _Plain(nn.Module):
    """A colorizer that is told nothing but lightness."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, lightness: Tensor) -> Tensor:
        return self.model(lightness)


class _Led(_Plain):
    """A colorizer and its hints; a mask of 0 is none."""

    def forward(  # type: ignore[override]  # the names become those of the file's inputs
        self, lightness: Tensor, hint_ab: Tensor, hint_mask: Tensor
    ) -> Tensor:
        return self.model(lightness, hints=Hints(hint_ab, hint_mask))


class _Seeing(_Plain):
    """A colorizer and vectors of whole pictures; where the mask is 0 it is the picture's own."""

    def forward(  # type: ignore[override]  # as above
        self, lightness: Tensor, whole: Tensor, whole_mask: Tensor
    ) -> Tensors:
        own = cast(SeesWhole, self.model).whole(lightness)
        return self.model(lightness, whole=torch.where(whole_mask > 0.5, whole, own)), own


def _several(answer: Tensor | Sequence[Tensor]) -> Tensors:
    return (answer,) if isinstance(answer, Tensor) else tuple(answer)


def _load(
    weights: str, colorizer: str, size: tuple[int, int] | None, hints: bool, whole: bool
) -> tuple[nn.Module, ExportCard, Path | None]:
    """The network, its card, and the file of its weights, if there is one."""
    chosen = chosen_weights(ColorizeConfig(colorizer=colorizer, weights=weights))
    by_recipe = chosen.startswith(RECIPE)
    path: Path | None = None
    settings: dict[str, Any] = {}
    if not by_recipe:
        path, _, settings = identify(chosen)
        if path.suffix in EXPORTED:
            raise ConfigError(f"{path}: is exported already; name the weights that it was made of")
    model, of = load_model(chosen)
    if colorizer not in ("auto", of):
        raise ConfigError(f"weights {chosen!r} are for {of}, not for --colorizer {colorizer}")
    if hasattr(model, "fold"):
        cast(Folds, model).fold()
    spec = model_spec(of)
    if hints and not spec.hints:
        raise ConfigError(f"{of} takes no hints: export it without --hints")
    if hints and whole:
        raise ConfigError("a file takes hints or vectors of whole pictures, not both")
    whole_size = int(getattr(model, "whole_size", 0))
    if whole and not whole_size:
        raise ConfigError(f"{of} knows no vector of a whole picture: export it without --whole")
    if size is not None:
        _check_size(size, spec)
    lacking = {
        "instances": spec.rois and getattr(model, "uses_rois", True),
        "hints": spec.hints and not hints,
        "whole": bool(whole_size) and not whole,
    }
    known = _known(chosen, path)
    said = {} if by_recipe else read_card(chosen)
    card = ExportCard(
        model=of,
        settings=settings,
        multiple=spec.multiple,
        stride=spec.stride,
        short_side=(known.short_side if known else 0) or spec.short_side,
        square=spec.square,
        size=size,
        hints=hints,
        whole_size=whole_size if whole else 0,
        left_out=tuple(name for name, lacks in lacking.items() if lacks),
        weights=known.name if known else chosen if path is None else path.name,
        sha256="" if path is None else file_sha256(path),
        license=str(said.get("license") or (known.license if known else "")),
        vidcolor=version("vidcolor"),
    )
    model = model.to(memory_format=torch.contiguous_format)
    module = _Led(model) if hints else _Seeing(model) if whole else _Plain(model)
    return module.eval().requires_grad_(False), card, path


def _known(chosen: str, path: Path | None) -> WeightsSpec | None:
    """What the program knows of weights, by their name or that of a published file."""
    named = [spec for spec in known_weights() if spec.name == chosen]
    if not named and path is not None:
        named = [s for s in known_weights() if path.name in {file.name for file in s.files}]
    # several publish a file of the same name
    return named[0] if len(named) == 1 else None


def _check_size(size: tuple[int, int], spec: ModelSpec) -> None:
    if min(size) < _LEAST_PX or any(side % spec.multiple for side in size):
        raise ConfigError(
            f"size must be HEIGHTxWIDTH, both at least {_LEAST_PX} and multiples of "
            f"{spec.multiple} for {spec.name}, not {size[0]}x{size[1]}"
        )


# --- writing ------------------------------------------------------------------------------------


def _trace(module: nn.Module, card: ExportCard, prune: bool) -> ExportedProgram:
    """The computation as a graph, without the weights that have no part in it."""
    program = _traced(module, card)
    # ONNX's exporter leaves them out by itself
    unused = _unused(program) if prune else []
    if unused:
        for name in unused:
            owner, _, last = name.rpartition(".")
            part = module.get_submodule(owner)
            kept = part._parameters if last in part._parameters else part._buffers
            kept[last] = None
        program = _traced(module, card)
    for node in program.graph.nodes:
        # names of files on this machine are nobody's business
        node.meta.pop("stack_trace", None)
    return program


def _traced(module: nn.Module, card: ExportCard) -> ExportedProgram:
    size = card.size or _grown(card, 0, 1)
    given = _question(card, 2, size, torch.Generator().manual_seed(_SEED))
    pictures = {0: Dim("pictures", min=1)}
    axes: dict[int, Any] = pictures
    if card.size is None:
        least = math.ceil(_LEAST_PX / card.multiple)
        # in cells of `multiple` pixels
        axes = {
            **pictures,
            2: card.multiple * Dim("rows", min=least),
            3: card.multiple * Dim("columns", min=least),
        }
    shapes = tuple(axes if x.ndim == 4 else pictures for x in given)
    try:
        return torch.export.export(module, given, dynamic_shapes=shapes, strict=False)
    except (RuntimeError, ValueError) as error:
        hint = "" if card.size else "; give it one size: --size HEIGHTxWIDTH"
        raise ConfigError(f"{card.model} cannot be exported so ({_line(error)}){hint}") from error


def _unused(program: ExportedProgram) -> list[str]:
    """Names of parameters and buffers that nothing is computed from."""
    signature = program.graph_signature
    targets = signature.inputs_to_parameters | signature.inputs_to_buffers
    return [
        targets[node.name]
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in targets and not node.users
    ]


Answer = Callable[..., Tensor | Sequence[Tensor]]
"""What a file says to the inputs of a network."""


def _need_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"ONNX needs a package ({error}): {INSTALL}") from None


def _write_onnx(program: ExportedProgram, card: ExportCard, path: Path, opset: int) -> Answer:
    import onnx

    unused = _unused(program)
    weights = sum(t.nbytes for name, t in program.state_dict.items() if name not in unused)
    if weights > _MOST_BYTES:
        raise ConfigError(
            f"{card.model}: its weights are {weights / 1e9:.1f} GB, more than fit in an ONNX file "
            f"({_MOST_BYTES / 1e9:.1f} GB); export it as .pt2"
        )
    try:
        with _quiet():
            written = torch.onnx.export(
                program, dynamo=True, opset_version=opset, output_names=card.outputs, verbose=False
            )
    except torch.onnx.OnnxExporterError as error:
        raise ConfigError(f"{card.model} cannot be written as ONNX: {_line(error)}") from error
    except ImportError as error:  # each version of torch wants its own
        raise ConfigError(f"ONNX needs newer packages ({error}): {INSTALL} --upgrade") from None
    assert written is not None
    model: Any = written.model
    if model.opset_imports.get("") != opset:
        raise ConfigError(
            f"{card.model} cannot be written for opset {opset} (but for "
            f"{model.opset_imports.get('')}); leave --opset out"
        )
    _forget_origin(model)
    model.metadata_props[CARD_KEY] = card.to_text()
    model.producer_name, model.producer_version = "vidcolor", card.vidcolor
    written.save(path, external_data=False)
    try:
        onnx.checker.check_model(path, full_check=True)
    except onnx.checker.ValidationError as error:
        raise WeightsError(
            f"{card.model}: what was written is no good ONNX: {_line(error)}"
        ) from None
    loaded = open_onnx(path)
    return lambda *given: loaded.answer(dict(zip(card.inputs, given, strict=True)))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nobody wants to hear of single nodes."""
    loggers = [logging.getLogger(name) for name in _LOUD]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _forget_origin(model: Any) -> None:
    """Take off what the exporter notes of modules and source lines, many times the graph's size."""
    graph = model.graph
    graph.metadata_props.clear()
    values = [*graph.inputs, *graph.initializers.values()]
    for node in graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        values += node.outputs
    for value in values:
        value.metadata_props.clear()
        value.doc_string = None


def _write_pt2(program: ExportedProgram, card: ExportCard, path: Path) -> Answer:
    torch.export.save(program, path, extra_files={f"{CARD_KEY}.json": card.to_text()})
    # safe: this file was written above
    return torch.export.load(path).module()


# --- comparing ----------------------------------------------------------------------------------


def _questions(card: ExportCard) -> list[Tensors]:
    """Inputs of several sizes and numbers: that of the tracing, another, and the one in use."""
    generator = torch.Generator().manual_seed(_SEED + 1)
    if card.size is not None:
        sizes = [(count, card.size) for count in (1, 2, 3)]
    else:
        short = card.square or card.short_side
        long = short if card.square else short * 4 // 3
        used = tuple(max(1, round(side / card.multiple)) * card.multiple for side in (short, long))
        sizes = [(2, _grown(card, 0, 1)), (3, _grown(card, 2, 0)), (1, (used[0], used[1]))]
    return [_question(card, count, size, generator) for count, size in sizes]


def _grown(card: ExportCard, rows: int, columns: int) -> tuple[int, int]:
    """A size so many cells above the least."""
    least = math.ceil(_LEAST_PX / card.multiple)
    return (least + rows) * card.multiple, (least + columns) * card.multiple


def _question(
    card: ExportCard, count: int, size: tuple[int, int], generator: torch.Generator
) -> Tensors:
    """Pictures with areas and noise, black to white; only the first goes without what is given."""
    areas = F.interpolate(
        torch.rand(count, 1, 6, 8, generator=generator), size=size, mode="bilinear"
    )
    noise = torch.rand(count, 1, *size, generator=generator)
    given = [(120 * (0.75 * areas + 0.25 * noise) - 10).clamp(0, 100)]
    if card.hints:
        mask = (torch.rand(count, 1, *size, generator=generator) < 0.02).float()
        mask[0] = 0
        given += [120 * torch.rand(count, 2, *size, generator=generator) - 60, mask]
    if card.whole_size:
        mask = torch.ones(count, 1)
        mask[0] = 0
        given += [torch.rand(count, card.whole_size, generator=generator), mask]
    return tuple(given)


def _difference(answer: Answer, asked: Sequence[Tensors], expected: Sequence[Tensors]) -> float:
    """The largest over all inputs; infinite where something is no number or has another shape."""
    largest = 0.0
    for given, wanted in zip(asked, expected, strict=True):
        with torch.inference_mode():
            got = _several(answer(*given))
        for one, other in zip(got, wanted, strict=True):
            if one.shape != other.shape:
                return math.inf
            difference = float((one - other).abs().max())
            largest = max(largest, difference if math.isfinite(difference) else math.inf)
    return largest


def _noise(
    module: nn.Module, asked: Sequence[Tensors], expected: Sequence[Tensors], largest: float
) -> float:
    """What rounding may do to weights that make much of little, as those by formula can.

    PyTorch has two ways to convolve, which sum in different orders; others may differ some times
    as much as these two do, but never by so much that the color would be another one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch speaks of GPUs that are not here
        with torch.backends.mkldnn.flags(enabled=False):
            between = _difference(module, asked, expected)
    return min(_NOISE * between, _MOST_NOISE * max(largest, 1.0))


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
