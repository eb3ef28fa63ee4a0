"""The folder of a run: what lies in it, and that it always fits together.

```
config.toml         all settings
run.json            versions, device and processes of each start
last.pt             training state: the run goes on from here
last.safetensors    the running mean of the weights, half precision, with a model card inside
best.safetensors    the same of the measurement with the highest gain (or the latest, `run.best`)
step-N.safetensors  the same of every measurement, if asked for (`run.keep`)
card.md             the model card, to be read
log.jsonl           a line every so many steps
samples/            gray, colored and true, or holed, filled and true, at each measurement
tensorboard/        if asked for
```

`last.pt` is written last: whatever is newer than it is made again, the same, after a crash.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidcolor.errors import ConfigError, MediaError, WeightsError
from vidcolor.schema import load, read_toml, to_dict, to_toml
from vidcolor.train.config import differences
from vidcolor.train.kinds import AnyConfig, kind_of
from vidcolor.train.loop.checkpoint import read_state, write_state, write_text

__all__ = ["BEST", "LAST", "RunFolder", "critic_of", "weights_of"]

BEST = "best.safetensors"
LAST = "last.safetensors"
_CONFIG, _STATE, _LOG, _RUN, _CARD = "config.toml", "last.pt", "log.jsonl", "run.json", "card.md"
_SHOWN = 3  # settings that an error names


def weights_of(start: str) -> str:
    """Where `phase.start_from` points: for a run's folder its best weights, or else its last.

    Raises:
        WeightsError: If a folder has none.
    """
    folder = Path(start).expanduser()
    if not folder.is_dir():
        return start
    for name in (BEST, LAST):
        if (folder / name).is_file():
            return str(folder / name)
    raise WeightsError(f"{folder}: has neither {BEST} nor {LAST}; train that run first")


def critic_of(start: str) -> dict[str, Any]:
    """The critic of the run in the folder to which `phase.start_critic` points.

    Raises:
        WeightsError: If that run has saved no state, or has no critic.
    """
    path = Path(start).expanduser() / _STATE
    if not path.is_file():
        raise WeightsError(f"phase.start_critic {start}: has no {_STATE}; train that run first")
    critic = read_state(path).get("critic")
    if critic is None:
        raise WeightsError(
            f"phase.start_critic {start}: that run has no critic; name one with "
            "phase.adversarial, or of the phase critic"
        )
    return dict(critic)


class RunFolder:
    """Reads and writes what a run leaves behind.

    Args:
        path: The folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()

    def saved_state(self, config: AnyConfig) -> dict[str, Any] | None:
        """The state to go on from, if there is a run here.

        Raises:
            ConfigError: If it is a run with other settings.
            WeightsError: If its state is damaged.
        """
        state, kept = self.path / _STATE, self.path / _CONFIG
        if kept.exists() and self._begun():
            other = differences(_kept(config, kept), config)
            if other:
                more = f" and {len(other) - _SHOWN} more" if len(other) > _SHOWN else ""
                raise ConfigError(
                    f"{self.path} holds a run with other settings ("
                    f"{'; '.join(other[:_SHOWN])}{more}); give another run.folder, or remove this"
                )
        elif self._begun() and not state.exists():
            raise ConfigError(
                f"{self.path} holds weights but no run that could go on; give another run.folder"
            )
        return read_state(state) if state.exists() else None

    def _begun(self) -> bool:
        return any((self.path / name).exists() for name in (_STATE, BEST, LAST))

    def begin(self, config: AnyConfig, step: int, facts: Mapping[str, Any]) -> None:
        """Note a start, and drop what the log has of steps that are to be done again.

        Args:
            config: Of the run.
            step: Steps done so far.
            facts: More about this start.

        Raises:
            MediaError: If the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MediaError(f"cannot make {self.path}: {error.strerror}") from None
        if not step:  # a run that broke before it saved a state begins again
            for name in (BEST, LAST):
                (self.path / name).unlink(missing_ok=True)
        write_text(self.path / _CONFIG, to_toml(config))
        rows = [row for row in self.rows() if row["step"] <= step]
        write_text(self.path / _LOG, "".join(json.dumps(row) + "\n" for row in rows))
        starts = [start for start in self._starts() if start["step"] <= step] if step else []
        starts.append({"step": step, **_versions(), **facts})
        write_text(self.path / _RUN, json.dumps({"starts": starts}, indent=1) + "\n")

    def _starts(self) -> list[dict[str, Any]]:
        try:
            return list(json.loads((self.path / _RUN).read_text("utf-8"))["starts"])
        except (OSError, ValueError, KeyError):
            return []

    def rows(self) -> list[dict[str, Any]]:
        """The log; a last line that a crash cut short is left out."""
        try:
            lines = (self.path / _LOG).read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []
        rows = []
        for line in lines:
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows

    def log(self, row: Mapping[str, Any]) -> None:
        """Append a line.

        Raises:
            MediaError: If the disk is full.
        """
        try:
            with (self.path / _LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise MediaError(f"cannot write {self.path / _LOG} ({error.strerror})") from None

    def save(self, state: dict[str, Any]) -> None:
        """Write the state from which the run goes on.

        Raises:
            MediaError: If the disk is full; the state before stays.
        """
        write_state(self.path / _STATE, state)

    def write_card(self, text: str) -> None:
        """Write the model card.

        Raises:
            MediaError: If the disk is full.
        """
        write_text(self.path / _CARD, text)

    def draw(self, name: str, rgb: npt.NDArray[np.uint8]) -> None:
        """Write (H, W, 3) uint8 RGB as `samples/NAME.png`.

        Raises:
            MediaError: If it cannot be written.
        """
        path = self.path / "samples" / f"{name}.png"
        _, data = cv2.imencode(".png", rgb[:, :, ::-1])
        try:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data.tobytes())
        except OSError as error:
            raise MediaError(f"cannot write {path} ({error.strerror})") from None


def _kept(config: AnyConfig, path: Path) -> AnyConfig:
    """The settings in a file, which are of the kind of `config`."""
    data = read_toml(path)
    if kind_of(data) != kind_of(to_dict(config)):
        name = data.get("model", {}).get("name")
        raise ConfigError(
            f"{path.parent} holds a run of {name!r}, not of {config.model.name!r}; give another "
            "run.folder, or remove this"
        )
    return load(type(config), data, str(path))


def _versions() -> dict[str, Any]:
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "vidcolor": version("vidcolor"),
        "commit": _commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def _commit() -> str | None:
    """Commit of this code if it runs from a checkout, with "-dirty" if it was changed since."""
    here = Path(__file__).resolve()
    git = ("git", "-C", str(here.parent))
    commands = (
        (*git, "ls-files", "--error-unmatch", here.name),  # not a checkout around site-packages
        (*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"),
    )
    text = ""
    for command in commands:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=10, check=True,
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            return None
        text = done.stdout.strip()
    return text
