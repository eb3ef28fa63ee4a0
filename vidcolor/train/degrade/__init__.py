"""What film does to a picture: the gray that training sees.

A colorizer trained on perfect gray pictures of today meets film that is blind to red, hard or
flat, grainy and soft, scratched, flickering, and copied by video. `degrade` makes a random such
gray of a color picture, `degrade_pair` of two frames of a shot. Everything is drawn from the
generator that the caller gives: the same seed gives the same film.

Effects, in the order of the code, each in a module that says why and after whom:

| effect | module | in two frames of a shot |
|---|---|---|
| stock, spectral sensitivity | `stock` | same |
| tone, blur | `develop` | same |
| grain | `develop` | other pattern, same kind |
| interlace combing | `video` | same motion |
| flicker | `flicker` | other |
| scratches | `scratches` | same lines |
| dust and hairs | `dust` | others, same kind |
| compression | `video` | same quality, same grid |

`DegradeConfig` has a share of pictures and a strength for each.
"""

from vidcolor.train.degrade.chain import degrade, degrade_pair
from vidcolor.train.degrade.config import DegradeConfig
from vidcolor.train.degrade.stock import gray_signal

__all__ = ["DegradeConfig", "degrade", "degrade_pair", "gray_signal"]
