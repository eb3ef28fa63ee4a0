"""Colorizers that `vidcolor export` wrote: what their files say, and ONNX Runtime to run them.

An ONNX file is data, and here it is held to that: operators of ONNX itself only, no weights in
other files, inputs and outputs as `vidcolor export` names them. A `.pt2` file is for other
programs: PyTorch unpickles and evaluates parts of it when it loads one, so it could run anything.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vidcolor.errors import ConfigError, WeightsError
from vidcolor.given import open_file, read_file
from vidcolor.models.registry import ModelSpec, model_spec
from vidcolor.records import Hints, Rois

__all__ = [
    "CARD_KEY",
    "EXPORTED",
    "INSTALL",
    "LEFT_OUT",
    "ExportCard",
    "OnnxColorizer",
    "load_exported",
    "open_onnx",
    "read_export",
]

EXPORTED = (".onnx", ".pt2")
"""Endings of the files of `vidcolor export`."""

CARD_KEY = "vidcolor"
"""Where a file keeps its `ExportCard`: the metadata of ONNX; `vidcolor.json` in a `.pt2`."""

LEFT_OUT = {
    "instances": "close-ups of instances: it colors whole pictures",
    "hints": "inputs for hints",
    "whole": "vectors of whole pictures: each has its own",
}
"""What a file may lack of its network, in words."""

INSTALL = "pip install 'vidcolor[export]'"
"""What to do where a package is missing."""

_log = logging.getLogger(__name__)
_FORMAT = 1
_MOST_BYTES = 2 << 30  # of a file of protobuf
_MOST_CARD_BYTES = 1 << 20
_DOMAINS = ("", "ai.onnx")  # of operators that every runtime has
_LOG_ERRORS = 3  # of ONNX Runtime, whose warnings speak to its authors

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class ExportCard:
    """What an exported file says of itself.

    Attributes:
        model: Registered name of the network.
        settings: Of its builder.
        multiple: Sides of the input must be multiples of this.
        stride: Pixels of the input, along each side, to one cell of the answer.
        short_side: Short side of the network's picture that suits the weights.
        square: Side of the square that the network wants, or None.
        size: `(height, width)` of the only pictures that it takes, or None for any.
        hints: Takes given colors.
        whole_size: Numbers in a vector of the whole picture, where the file takes and gives them
            (see `registry.SeesWhole`); otherwise 0.
        left_out: What the network can use and the file does not, of "instances" (close-ups),
            "hints" and "whole".
        weights: Name of the weights, or of their file.
        sha256: Of the file that held them; empty for weights by formula.
        license: Of the weights, as far as anybody said.
        vidcolor: Version of the program that wrote the file.
        format: Of this card.
    """

    model: str
    settings: Mapping[str, Any]
    multiple: int
    stride: int
    short_side: int
    square: int | None
    size: tuple[int, int] | None
    hints: bool
    whole_size: int
    left_out: tuple[str, ...]
    weights: str
    sha256: str
    license: str
    vidcolor: str
    format: int = _FORMAT

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what the file takes: L*, `Hints`, vectors and for which pictures they count."""
        hints = ("hint_ab", "hint_mask") if self.hints else ()
        whole = ("whole", "whole_mask") if self.whole_size else ()
        return ("lightness", *hints, *whole)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what the file gives: a*b*, and the vectors that are the pictures' own."""
        return ("ab", "own_whole") if self.whole_size else ("ab",)

    def to_text(self) -> str:
        """As JSON."""
        return json.dumps(
            {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}, sort_keys=True
        )

    @classmethod
    def from_text(cls, text: str, file: str) -> ExportCard:
        """Of JSON.

        Args:
            text: What `to_text` gives.
            file: Name of the file, for the error.

        Raises:
            WeightsError: If it is nothing of the kind.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):  # of numbers of a million digits too
            data = None
        if not isinstance(data, dict):
            raise WeightsError(f"{file}: its description is no JSON object; export it again")
        if data.get("format") != _FORMAT:
            raise WeightsError(
                f"{file}: its description has format {data.get('format')!r}, this vidcolor reads "
                f"{_FORMAT}; export it again"
            )
        for name in ("size", "left_out"):
            if isinstance(data.get(name), list):
                data[name] = tuple(data[name])
        names = [f.name for f in dataclasses.fields(cls)]
        wrong = [name for name in names if name not in data or not _fits(name, data[name])]
        if wrong:
            raise WeightsError(
                f"{file}: {wrong[0]!r} is missing in its description or is not what it should be; "
                f"export it again"
            )
        return cls(**{name: data[name] for name in names})

    def spec(self) -> ModelSpec:
        """What is known of the network, as far as it is in the file.

        Raises:
            ConfigError: If no network has its name.
        """
        square = self.square
        if self.size is not None:
            square = self.size[0] if self.size[0] == self.size[1] else None
        return dataclasses.replace(
            model_spec(self.model),
            multiple=self.multiple,
            stride=self.stride,
            short_side=self.short_side if self.size is None else min(self.size),
            square=square,
            rois=False,
            hints=self.hints,
        )


def _fits(name: str, value: Any) -> bool:
    if name == "settings":
        return isinstance(value, dict)
    if name == "size":
        pair = isinstance(value, tuple) and len(value) == 2 and all(map(_is_side, value))
        return value is None or pair
    if name == "square":
        return value is None or _is_side(value)
    if name == "left_out":
        known = isinstance(value, tuple) and all(isinstance(one, str) for one in value)
        return known and set(value) <= set(LEFT_OUT)
    if name == "hints":
        return isinstance(value, bool)
    if name == "whole_size" and value == 0:
        return value is not False
    if name in ("multiple", "stride", "short_side", "whole_size", "format"):
        return _is_side(value)
    return isinstance(value, str)


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1 << 16


class OnnxColorizer(nn.Module):
    """An exported network behind the contract of a colorizer.

    It computes in float32 whatever autocast says, and learns nothing.

    Args:
        session: ONNX Runtime's.
        card: What the file says of itself.
        file: Name of the file, for errors.

    Attributes:
        spec: What it can use; it differs from that of the network it was made of.
        uses_rois: False: instances are ignored.
        whole_size: See `models.registry.SeesWhole`; 0 for files without such vectors.
    """

    uses_rois = False

    def __init__(self, session: Any, card: ExportCard, file: str) -> None:
        super().__init__()
        self.card = card
        self.spec = card.spec()
        self.whole_size = card.whole_size
        self.file = file
        self._session = session

    def forward(
        self,
        lightness: Tensor,
        rois: Rois | None = None,
        hints: Hints | None = None,
        whole: Tensor | None = None,
    ) -> Tensor:
        """Color of frames.

        Args:
            lightness: (N, 1, H, W) L* in 0..100; sides multiples of `spec.multiple`.
            rois: Ignored.
            hints: Given colors on the grid of `lightness`; ignored by files without hints.
            whole: (N, D) or (1, D), vectors of `whole` to go by; ignored by files without.

        Returns:
            (N, 2, h, w) float32 a*b*, on the device of `lightness`.

        Raises:
            ValueError: If a side is no multiple, or hints or vectors do not fit.
            WeightsError: If the file is for pictures of another size, or ONNX Runtime fails.
        """
        ab = self._run("ab", self._inputs(lightness, hints, whole))
        if ab.ndim != 4 or ab.shape[:2] != (len(lightness), 2):
            raise self._strange(ab)
        return torch.from_numpy(ab).to(lightness.device)

    def whole(self, lightness: Tensor) -> Tensor:
        """(N, `whole_size`) vectors of whole pictures: see `models.registry.SeesWhole`.

        Raises:
            WeightsError: If the file has none, or as `forward` says.
        """
        if not self.whole_size:
            raise WeightsError(
                f"{self.file}: has no vectors of whole pictures; export with --whole"
            )
        rows = self._run("own_whole", self._inputs(lightness, None, None))
        if rows.shape != (len(lightness), self.whole_size):
            raise self._strange(rows)
        return torch.from_numpy(rows).to(lightness.device)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: nothing can go on learning from an exported file.

        Raises:
            WeightsError: Always.
        """
        raise WeightsError(
            f"{self.file}: an exported network only predicts; take the weights that it was made "
            f"of ({self.card.weights})"
        )

    def _inputs(
        self, lightness: Tensor, hints: Hints | None, whole: Tensor | None
    ) -> dict[str, Array]:
        self._check(lightness)
        n, _, height, width = lightness.shape
        given = {"lightness": lightness}
        if self.card.hints:
            if hints is None:
                hints = Hints(lightness.new_zeros(n, 2, height, width), torch.zeros_like(lightness))
            if hints.mask.shape != lightness.shape:
                have, want = tuple(hints.mask.shape), tuple(lightness.shape)
                raise ValueError(f"hints are {have}, lightness {want}")
            given |= {"hint_ab": hints.ab, "hint_mask": hints.mask}
        if self.whole_size:
            known = whole is not None
            whole = lightness.new_zeros(1, self.whole_size) if whole is None else whole
            if tuple(whole.shape) not in ((1, self.whole_size), (n, self.whole_size)):
                raise ValueError(
                    f"whole must be ({n}, {self.whole_size}) or (1, {self.whole_size}), not "
                    f"{tuple(whole.shape)}"
                )
            mask = lightness.new_full((n, 1), float(known))
            given |= {"whole": whole.expand(n, -1), "whole_mask": mask}
        return {name: _array(x) for name, x in given.items()}

    def _check(self, lightness: Tensor) -> None:
        size = (int(lightness.shape[2]), int(lightness.shape[3]))
        if self.card.size is not None and size != self.card.size:
            have, want = _times(self.card.size), _times(size)
            raise WeightsError(
                f"{self.file}: takes pictures of {have} only, these are {want}; export it "
                f"without --size, or with --size {want}"
            )
        if any(side % self.card.multiple for side in size):
            raise ValueError(f"sides must be multiples of {self.card.multiple}, not {_times(size)}")

    def answer(self, given: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """All outputs of the file for all its inputs, by the names that `card` tells.

        Raises:
            WeightsError: If ONNX Runtime fails.
        """
        feeds = {name: _array(x) for name, x in given.items()}
        return tuple(torch.from_numpy(self._run(name, feeds)) for name in self.card.outputs)

    def _run(self, output: str, feeds: dict[str, Array]) -> Array:
        from onnxruntime.capi import onnxruntime_pybind11_state as errors

        try:
            answer = self._session.run([output], feeds)[0]
        except (errors.Fail, errors.InvalidArgument, errors.RuntimeException) as error:
            raise WeightsError(f"{self.file}: ONNX Runtime: {_line(error)}") from None
        if not isinstance(answer, np.ndarray) or answer.dtype != np.float32:
            raise self._strange(answer)
        return answer

    def _strange(self, answer: Any) -> WeightsError:
        kind = f"{getattr(answer, 'dtype', type(answer))} {getattr(answer, 'shape', '')}"
        return WeightsError(f"{self.file}: its answer is {kind}, of no use; export it again")


def _array(x: Tensor) -> Array:
    return np.ascontiguousarray(x.detach().float().cpu().numpy())


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


# --- reading ------------------------------------------------------------------------------------


def read_export(path: Path) -> ExportCard:
    """What an exported file says of itself.

    Raises:
        WeightsError: If the file is missing or damaged, or `vidcolor export` did not write it.
    """
    if path.suffix == ".pt2":
        return _read_pt2(path)
    return _read_onnx(path)[1]


def load_exported(path: Path, device: torch.device | str = "cpu") -> tuple[nn.Module, str]:
    """An exported colorizer for the line; what it lacks of its network is logged.

    Args:
        path: Ends in `.onnx`.
        device: See `open_onnx`.

    Returns:
        The network, with its own `spec`, and the registered name of what it was made of.

    Raises:
        WeightsError: If the file is none that the line can run, see `open_onnx`.
        ConfigError: If ONNX Runtime cannot use the device.
    """
    if path.suffix == ".pt2":
        card = _read_pt2(path)
        raise WeightsError(
            f"{path}: is for other programs: to load a .pt2 file is to run what is in it. Use the "
            f"weights that it was made of ({card.weights}), or export them as .onnx"
        )
    model = open_onnx(path, device)
    for name in model.card.left_out:
        _log.info("%s was exported without %s", path.name, LEFT_OUT[name])
    return model, model.card.model


def open_onnx(path: Path, device: torch.device | str = "cpu") -> OnnxColorizer:
    """An exported colorizer, run by ONNX Runtime.

    Args:
        path: Of an ONNX file.
        device: Where it is to run; besides the CPU, CUDA where ONNX Runtime has it.

    Raises:
        WeightsError: If the file is missing, damaged, or not one of ours, or no ONNX Runtime is
            installed.
        ConfigError: If ONNX Runtime cannot use the device.
    """
    content, card = _read_onnx(path)
    return OnnxColorizer(_session(content, path, torch.device(device)), card, path.name)


def _read_pt2(path: Path) -> ExportCard:
    name = f"extra/{CARD_KEY}.json"
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            # all that PyTorch writes lies in one folder, whose name is that of the file
            found = [m for m in archive.infolist() if m.filename.partition("/")[2] == name]
            if found and found[0].file_size > _MOST_CARD_BYTES:
                raise ValueError(f"its {name} is larger than a description")
            text = archive.read(found[0]).decode() if found else None
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
    except (
        zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError,
        LookupError, OverflowError, struct.error,
    ) as error:  # fmt: skip
        raise WeightsError(f"{path} is damaged or no .pt2 file: {_line(error)}") from None
    if text is None:
        raise WeightsError(f"{path}: was not written by `vidcolor export`: has no {name}")
    return _checked(ExportCard.from_text(text, str(path)), path)


def _read_onnx(path: Path) -> tuple[bytes, ExportCard]:
    """The file, checked, and its card."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise WeightsError(f"{path}: needs a package ({error}): {INSTALL}") from None
    try:
        content = read_file(path, _MOST_BYTES)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise WeightsError(f"{path} is damaged or no ONNX file: {_line(error)}") from None
    texts = [entry.value for entry in model.metadata_props if entry.key == CARD_KEY]
    if len(texts) != 1:
        raise WeightsError(
            f"{path}: was not written by `vidcolor export`: has no description {CARD_KEY!r}"
        )
    card = _checked(ExportCard.from_text(texts[0], str(path)), path)
    _check_graph(model, card, path)
    return content, card


def _checked(card: ExportCard, path: Path) -> ExportCard:
    try:
        card.spec()
    except ConfigError as error:
        raise WeightsError(f"{path}: {error}") from None
    return card


def _check_graph(model: Any, card: ExportCard, path: Path) -> None:
    import onnx

    messages = list(_inside(model))
    domains = {message.domain for message in messages if isinstance(message, onnx.NodeProto)}
    foreign = sorted(str(domain) for domain in domains - set(_DOMAINS))
    if foreign:
        raise WeightsError(
            f"{path}: has operators that are not ONNX's own ({', '.join(foreign)}); export it again"
        )
    tensors = (message for message in messages if isinstance(message, onnx.TensorProto))
    if any(t.external_data or t.data_location != onnx.TensorProto.DEFAULT for t in tensors):
        raise WeightsError(f"{path}: keeps weights in other files; export it again, as one file")
    given = [str(value.name) for value in model.graph.input]  # bytes, if they are no UTF-8
    results = [str(value.name) for value in model.graph.output]
    if given != list(card.inputs) or results != list(card.outputs):
        raise WeightsError(
            f"{path}: takes {', '.join(given)} and gives {', '.join(results)}, not "
            f"{', '.join(card.inputs)} and {', '.join(card.outputs)}; export it again"
        )


def _inside(root: Any) -> Iterator[Any]:
    """A protobuf message and every one inside it, however deep."""
    from google.protobuf.message import Message

    waiting = [root]
    while waiting:
        message = waiting.pop()
        yield message
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting += [value] if isinstance(value, Message) else value


def _session(content: bytes, path: Path, device: torch.device) -> Any:
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors
    except ImportError as error:
        raise WeightsError(f"{path}: needs ONNX Runtime ({error}): {INSTALL}") from None
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # as many as PyTorch would take, or the two crowd each other out
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    # threads that wait in a loop take the time of those that decode and encode
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _LOG_ERRORS
    providers = _providers(device, onnxruntime.get_available_providers())
    try:
        session = onnxruntime.InferenceSession(
            content, options, providers=providers, enable_fallback=0
        )
    except (
        errors.Fail,
        errors.InvalidArgument,
        errors.InvalidGraph,
        errors.InvalidProtobuf,
        errors.NotImplemented,
        errors.RuntimeException,
        ValueError,  # of its own words, where they quote what is no UTF-8
    ) as error:
        raise WeightsError(f"{path}: ONNX Runtime cannot run it: {_line(error)}") from None
    # where CUDA's own libraries are missing, ONNX Runtime goes on without a word
    _providers(device, session.get_providers())
    return session


def _providers(device: torch.device, available: list[str]) -> list[Any]:
    """ONNX Runtime's names of what is to run a network, the first that can.

    Raises:
        ConfigError: If the device is none of ONNX Runtime's here.
    """
    if device.type == "cpu":
        return ["CPUExecutionProvider"]
    if device.type == "cuda" and "CUDAExecutionProvider" in available:
        return [("CUDAExecutionProvider", {"device_id": device.index or 0}), "CPUExecutionProvider"]
    raise ConfigError(
        f"ONNX Runtime cannot use {device.type} here (it has {', '.join(available)}); use "
        f"--device cpu, or the weights that the file was made of"
    )
