"""`vidcolor doctor`: what is here, whether it works, and what to do where it does not."""

from vidcolor.doctor.bundle import CONTENTS, new_file, report_text, write_bundle
from vidcolor.doctor.examine import Examination
from vidcolor.doctor.privacy import Veil
from vidcolor.doctor.report import Finding, lines, to_json, works

__all__ = [
    "CONTENTS",
    "Examination",
    "Finding",
    "Veil",
    "lines",
    "new_file",
    "report_text",
    "to_json",
    "works",
    "write_bundle",
]
