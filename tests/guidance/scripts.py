"""A color script that says something of everything, for the tests."""

from __future__ import annotations

from pathlib import Path

# frames of 1001/24000 s; three shots of 24, 24 and 48 frames
SCRIPT = """\
version = 1

[source]
name = "film.mkv"
frames = 96
duration = "0:00:04.004"
time_base = "1/24000"

[settings.stabilize]
tau = 4.0

[grade]
saturation = 1.1

[[shots]]
number = 0
start = 0
end = 23
pts = 0
end_pts = 23023
time = "0:00:00.000"
end_time = "0:00:00.959"

[[shots]]
number = 1
start = 24
end = 47
pts = 24024
end_pts = 47047
time = "0:00:01.001"
end_time = "0:00:01.960"
note = "night"
colorizer = "siggraph17"
grade = {temperature = -20.0}

[shots.settings]
anchor = {strength = 0.5}

[[shots]]
number = 2
start = 48
end = 95
pts = 48048
end_pts = 95095

[[tracks]]
id = 1
identity = "woman"
label = "person"

[[tracks]]
id = 100001
identity = "man"
label = "person"
shot = 1

[[tracks]]
id = 200001
identity = "woman"
label = "person"
shot = 2

[[tracks]]
id = 200002
identity = "car"
shot = 2

[[track_grades]]
identity = "woman"
grade = {saturation = 1.2}

[[hints]]
color = "steelblue"
frame = 30
points = [10, 12, 20, 22]
track = "none"

[[hints]]
color = "#803020"
whole = true
track = 1
"""


def write(folder: Path, text: str = SCRIPT) -> Path:
    path = folder / "film.vidcolor"
    path.write_text(text, encoding="utf-8")
    return path
