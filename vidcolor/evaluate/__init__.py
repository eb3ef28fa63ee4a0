"""How good and how steady the color of finished films is; of data sets, see `sets`."""

from vidcolor.evaluate.config import EvaluateConfig
from vidcolor.evaluate.film import evaluate_film
from vidcolor.evaluate.measurement import Measurement
from vidcolor.evaluate.records import FilmReport, Measures

__all__ = ["EvaluateConfig", "FilmReport", "Measurement", "Measures", "evaluate_film"]
