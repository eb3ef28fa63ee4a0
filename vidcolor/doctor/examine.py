"""Everything that is looked at, in order, each finding as soon as it is there.

Nothing is fetched, and nothing is written but temporary files. What is examined may be broken in
any way: a check that fails is a finding.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from vidcolor.doctor import codecs, devices, machine, packages, places, weights
from vidcolor.doctor.privacy import Veil
from vidcolor.doctor.report import Finding

if TYPE_CHECKING:
    from vidcolor.config import Config

__all__ = ["Examination"]

_REPORT = "please report this, with the file of vidcolor doctor --bundle"
_INSTALL = "a package is here but cannot be loaded: install it again, or all in a fresh environment"


class Examination:
    """What there is to find out on this machine.

    Args:
        device: Where networks are to compute; None: what the environment says, or "auto".
        test: Color a tiny film, too.
        veil: Takes private things out of every finding.

    Attributes:
        config: The settings of the environment.
        log: Of the self-test, and of what broke off.
    """

    def __init__(
        self, device: str | None = None, test: bool = True, veil: Veil | None = None
    ) -> None:
        self.log: list[str] = []
        self._device = device
        self._test = test
        self._veil = veil or Veil.here()
        self._config: Config | None = None

    @property
    def config(self) -> Config:
        """The settings, with the device that was asked for."""
        if self._config is None:
            found, _ = places.settings_here()
            if self._device is not None:
                found = dataclasses.replace(found, device=self._device)
            self._config = found
        return self._config

    def settings(self) -> str:
        """`config` as TOML; why not, if it cannot be had."""
        try:
            from vidcolor.schema import to_toml

            return to_toml(self.config)
        except ImportError as error:  # the settings of stages stand beside the stages
            return f"# settings cannot be read: {' '.join(str(error).split())}"

    def __iter__(self) -> Iterator[Finding]:
        """All findings, area by area."""
        checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
            ("program", machine.program),
            ("machine", machine.see_machine),
            ("packages", packages.see_packages),
            ("devices", self._devices),
            ("codecs", codecs.see_codecs),
            ("weights", weights.see_weights),
            ("detectors", weights.see_detectors),
            ("folders", places.see_folders),
            ("environment", self._environment),
            ("self-test", self._self_test),
        )
        for area, check in checks:
            for finding in self._survived(area, check):
                yield dataclasses.replace(
                    finding, found=self._veil(finding.found), advice=self._veil(finding.advice)
                )

    def _devices(self) -> Iterator[Finding]:
        return devices.see_devices(self.config.device, self.config.precision)

    def _environment(self) -> Iterator[Finding]:
        yield from places.see_environment()
        _, fault = places.settings_here()
        if fault is not None:
            yield fault

    def _self_test(self) -> Iterator[Finding]:
        if not self._test:
            yield Finding("self-test", "coloring a tiny film", "left out, by --no-test", "absent")
            return
        from vidcolor.doctor.selftest import self_test

        yield from self_test(self.config, self.log)

    def _survived(self, area: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
        """The findings of a check; one more if it breaks off."""
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001  (whatever is broken here is what we came to find)
            self.log += traceback.format_exc().splitlines()
            text = " ".join(f"{type(error).__name__}: {error}".split())
            advice = _INSTALL if isinstance(error, ImportError) else _REPORT
            yield Finding(area, "this check", f"broke off: {text}", "wrong", advice)
