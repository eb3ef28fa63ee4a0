"""What `vidcolor doctor` finds, on machines that are well and on machines that are not."""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import re
import zipfile
from fractions import Fraction

import av
import numpy as np
import pytest
from media import read_luma, read_packets

from vidcolor.doctor import (
    Examination,
    Finding,
    Veil,
    bundle,
    codecs,
    devices,
    lines,
    machine,
    packages,
    places,
    selftest,
    to_json,
    weights,
    works,
    write_bundle,
)
from vidcolor.doctor.clock import StageClock
from vidcolor.doctor.ranges import Requirement, is_in, is_older
from vidcolor.errors import MediaError, WeightsError
from vidcolor.io import abilities
from vidcolor.io.specimen import SPECIMEN_PTS, look_at, write_specimen
from vidcolor.models import catalog, store
from vidcolor.models.catalog import WeightFile, WeightsSpec
from vidcolor.schema import to_toml

VEIL = Veil.of(("/home/alice", "/mnt/big/alice"), "alice", ("studio.example.org", "studio"))


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def of(findings, what):
    (found,) = [one for one in findings if one.what == what]
    return found


# -- versions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "name", "wanted", "extra"),
    [
        ("numpy>=2", "numpy", ">=2", ""),
        ("av<19,>=18", "av", "<19,>=18", ""),
        ("lpips>=0.1.4; extra == 'eval'", "lpips", ">=0.1.4", "eval"),
        ('ray[default] >=2.5 ; extra == "ray"', "ray", ">=2.5", "ray"),
        ("tqdm (>=4.60)", "tqdm", ">=4.60", ""),
        ("codespell", "codespell", "", ""),
    ],
)
def test_requirements_are_read(line, name, wanted, extra):
    assert Requirement.read(line) == Requirement(name, wanted, extra)


def test_a_requirement_of_a_place_is_refused():
    with pytest.raises(ValueError, match="no requirement of versions"):
        Requirement.read("thing @ https://example.org/thing.whl")


VERSIONS = (
    "1", "1.0", "1.9.2", "1.10", "2.0.dev3", "2.0a1", "2.0b2", "2.0rc1", "2.0", "2.0.0",
    "2.0.post1", "2.0.1", "2.1+cu126", "2.1.1", "3.0rc2", "3", "10.2", "2026.10.18",
)  # fmt: skip
RANGES = (
    "", ">=2", ">=2.0.0,<3", "<2", "<=2.0", ">2", "==2.0", "==2.*", "!=2.0.1", "!=2.0.*", "~=2.0",
    "~=1.9.1", ">=1.9,!=2.0,<10", ">=2.0rc1", "<3.0rc3",
)  # fmt: skip


@pytest.mark.parametrize(("version", "wanted"), [*itertools.product(VERSIONS, RANGES)])
def test_ranges_mean_what_pip_takes_them_for(version, wanted):
    specifiers = pytest.importorskip("packaging.specifiers")
    expected = specifiers.SpecifierSet(wanted).contains(version, prereleases=True)
    assert is_in(version, wanted) == expected


def test_versions_have_the_order_that_pip_gives_them():
    version = pytest.importorskip("packaging.version").Version
    for one, other in itertools.product(VERSIONS, VERSIONS):
        if "+" not in one + other:  # where it was built makes nothing older here
            assert is_older(one, other) == (version(one) < version(other)), (one, other)


@pytest.mark.parametrize(("version", "wanted"), [("two", ">=2"), ("2", "newer"), ("2", "=>2")])
def test_what_is_no_version_or_range(version, wanted):
    with pytest.raises(ValueError, match="is no "):
        is_in(version, wanted)


# -- private things --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/alice/films/a.mkv", "~/films/a.mkv"),
        ("in /mnt/big/alice", "in ~"),
        ("/home/alice2/x", "/home/NAME/x"),
        ("/home/bob/films", "/home/NAME/films"),
        ("/Users/bob/x and C:\\Users\\Bob\\x", "/Users/NAME/x and C:\\Users\\NAME\\x"),
        ("made by Alice on studio", "made by USER on HOST"),
        ("studio.example.org:8470", "HOST:8470"),
        ("malice and studios stay", "malice and studios stay"),
        ("http://me:secret@proxy:3128/x", "http://proxy:3128/x"),
        ("https://example.org/a?token=abc&b=1", "https://example.org/a?..."),
        ("torch 2.6", "torch 2.6"),
    ],
)
def test_private_things_are_taken_out(text, shown):
    assert VEIL(text) == shown


def test_names_that_tell_nothing_and_no_home_change_nothing():
    veil = Veil.of(("/", ""), "root", ("localhost", ""))
    assert veil("/usr/lib/root of localhost") == "/usr/lib/root of localhost"


def test_the_veil_of_this_machine_knows_its_home(monkeypatch):
    monkeypatch.setenv("HOME", "/srv/people/carol")
    monkeypatch.setenv("LOGNAME", "carol")
    monkeypatch.setattr("socket.gethostname", lambda: "render7.lan")
    assert Veil.here()("/srv/people/carol/x by carol on render7") == "~/x by USER on HOST"


# -- the tiny film ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "gray.mkv"
    write_specimen(path)
    return path


def test_the_tiny_film_is_gray_with_odd_times_and_sound(film):
    luma, times = read_luma(film)
    assert [time * 1000 for time in times] == list(SPECIMEN_PTS)
    assert len(set(np.diff(SPECIMEN_PTS))) > 1
    with av.open(str(film)) as container:
        assert container.streams.video[0].format.name == "gray"
    sound = read_packets(film)
    assert [len(packets) for packets in sound.values()] == [26]
    seen = look_at(film)
    assert np.array_equal(seen.luma, np.stack(luma))
    assert seen.chroma.size == 0
    assert [time for time, _ in seen.others[0]] == [time for time, _ in sound[1]]
    # shots differ from one another, frames within them move
    steps = np.abs(np.diff(seen.luma.astype(int), axis=0)).mean((1, 2))
    assert steps.argmax() == 11
    assert steps.min() > 0.5


def test_what_has_no_picture_is_no_film(tmp_path):
    path = tmp_path / "text.mkv"
    path.write_text("hello")
    with pytest.raises(MediaError):
        look_at(path)


@pytest.fixture(scope="module")
def pair(film):
    """The tiny film, and what a right coloring of it would be."""
    source = look_at(film)
    chroma = np.full((24, 2, 48, 64), 128)
    chroma[:, 0] += 9
    chroma[12:, 1] -= 12
    return source, dataclasses.replace(source, chroma=chroma)


def wrong(source, colored):
    return {one.what for one in selftest.judge(source, colored) if one.state == "wrong"}


def test_a_right_coloring_is_well(pair):
    found = list(selftest.judge(*pair))
    assert {one.state for one in found} == {"ok"}
    assert {one.what for one in found} == {
        "frames", "times", "luma", "color", "steadiness", "sound",
    }  # fmt: skip


def test_every_broken_promise_is_seen(pair):
    source, colored = pair
    luma = colored.luma.copy()
    luma[5, 3, 7] += 1
    gray = np.full_like(colored.chroma, 128)
    flicker = colored.chroma.copy()
    flicker[3] += 6
    times = (*colored.times[:-1], colored.times[-1] + Fraction(1, 1000))
    short = {name: getattr(colored, name)[:-1] for name in ("luma", "chroma", "times")}
    cases = (
        ({"luma": luma}, {"luma"}),
        ({"chroma": gray}, {"color"}),
        ({"chroma": colored.chroma[:, :0]}, {"color"}),
        ({"chroma": flicker}, {"steadiness"}),
        ({"times": times}, {"times"}),
        ({"others": (colored.others[0][:-1],)}, {"sound"}),
        ({"others": ()}, {"sound"}),
        (short, {"frames", "times", "luma"}),
    )
    for change, expected in cases:
        assert wrong(source, dataclasses.replace(colored, **change)) == expected, change.keys()


def test_the_real_line_passes(tmp_path):
    examination = Examination("cpu", veil=VEIL)
    found = list(selftest.self_test(examination.config, examination.log))
    assert {one.state for one in found} == {"ok"}, found
    assert of(found, "frames").found == "24 of 24"
    stages = of(found, "stages").found
    assert re.match(r"24 frames, seconds: \w+ \d\.\d\d", stages)
    assert any("24 frames colored" in row for row in examination.log)


def test_a_line_that_breaks_is_a_finding_with_its_log(monkeypatch):
    def broken(*_, **__):
        raise WeightsError("starter is damaged")

    monkeypatch.setattr("vidcolor.api.colorize_video", broken)
    examination = Examination("cpu", veil=VEIL)
    found = list(selftest.self_test(examination.config, examination.log))
    last = found[-1]
    assert (last.state, last.found) == ("wrong", "WeightsError: starter is damaged")
    assert "please report" in last.advice
    assert any("in broken" in row for row in examination.log)  # the traceback


def test_stages_are_timed_by_themselves():
    now = [0.0]
    clock = StageClock(lambda: now[0])

    def work(items, seconds):
        for item in items:
            now[0] += seconds
            yield item

    def call(item, seconds):
        now[0] += seconds
        return item

    inner = clock.items("inner", work([1, 2, 3], 10))
    called = (clock.call("call", call, item, 0.5) for item in inner)
    assert [*clock.items("outer", work(called, 2))] == [1, 2, 3]
    assert clock.seconds == {"outer": 6, "inner": 30, "call": 1.5}


# -- parts of a machine ----------------------------------------------------------------------------


def test_this_machine():
    found = [*machine.program(), *machine.see_machine()]
    assert {one.what for one in found} == {
        "vidcolor", "Python", "system", "processor", "memory",
    }  # fmt: skip
    whole, free = machine.memory_bytes()
    assert 0 < free <= whole
    assert whole > 1 << 28


def test_an_old_python_and_a_full_memory(monkeypatch):
    monkeypatch.setattr(machine, "_OLDEST_PYTHON", (9, 1))
    assert of(machine.program(), "Python").advice == "install Python 9.1 or newer"
    monkeypatch.setattr(machine, "memory_bytes", lambda: (8 << 30, 1 << 30))
    found = of(machine.see_machine(), "memory")
    assert (found.state, found.found) == ("warning", "8.0 GB, 1.0 free")
    monkeypatch.setattr(machine, "memory_bytes", lambda: None)
    assert of(machine.see_machine(), "memory").state == "ok"


def test_packages_against_what_our_metadata_wants(monkeypatch):
    here = {"numpy": "1.26", "torch": "2.15+cpu", "lpips": "0.0.1", "opencv-python": "4.1"}
    monkeypatch.setattr(packages, "_version", here.get)
    stated = ["numpy>=2", "torch>=2.6", "scipy>=1.11", "lpips>=0.1.4; extra == 'eval'"]
    monkeypatch.setattr(packages, "requires", lambda _: stated)
    found = list(packages.see_packages())
    assert of(found, "numpy") == Finding(
        "packages", "numpy", "1.26, want >=2", "warning", "pip install 'numpy>=2'"
    )
    assert (of(found, "torch").state, of(found, "torch").found) == ("ok", "2.15+cpu")
    assert (of(found, "scipy").state, of(found, "scipy").found) == ("wrong", "not installed")
    assert of(found, "lpips").state == "warning"
    assert of(found, "ray").state == "absent"
    assert "OpenCV" not in {one.what for one in found}
    here["opencv-python-headless"] = "4.12"
    double = of(packages.see_packages(), "OpenCV")
    assert "pip uninstall opencv-python opencv-python-headless" in double.advice


def test_devices(monkeypatch):
    found = list(devices.see_devices("cpu", "float32"))
    assert of(found, "settings: cpu").found == "networks run on cpu in float32"
    last = list(devices.see_devices("cuda:77", "auto"))[-1]
    assert (last.state, last.advice) == ("wrong", "choose --device cpu")


def test_every_encoder_is_tried(monkeypatch):
    found = {one.what: one for one in codecs.see_codecs()}
    assert {"h264", "h265", "av1", "prores", "ffv1"} <= found.keys()
    assert found["ffv1"].found == "ffv1 encoded two frames; mkv/mp4"
    assert "avcodec" in found["FFmpeg, inside av"].found

    def missing(name):
        raise MediaError(f"no encoder for {name}")

    monkeypatch.setattr(abilities, "try_encoder", missing)
    found = {one.what: one.state for one in codecs.see_codecs()}
    assert (found["h264"], found["av1"]) == ("wrong", "warning")


def test_an_encoder_that_loses_frames_or_codes_is_seen(monkeypatch):
    class Half:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def __iter__(self):
            return iter(())

    monkeypatch.setattr(abilities, "VideoReader", Half)
    with pytest.raises(ValueError, match="2 frames went in, 0 came back"):
        abilities.try_encoder("ffv1")


def test_weights_are_verified(monkeypatch, tmp_path):
    data = b"weights"
    digest = "9a0364b9e99bb480dd25e1f0284c8555"  # not of these bytes
    good = WeightsSpec(
        "good", "backbone", "vgg", "MIT", "https://example.org/a",
        (WeightFile("good.pth", None, hashlib.sha256(data).hexdigest()),),
    )  # fmt: skip
    bad = WeightsSpec(
        "bad", "backbone", "vgg", "MIT", "https://example.org/b",
        (WeightFile("bad.pth", "https://example.org/bad.pth", digest),),
    )  # fmt: skip
    away = WeightsSpec(
        "away", "backbone", "vgg", "BSD", "https://example.org/c",
        (WeightFile("away.pth", "https://example.org/away.pth", digest),),
    )  # fmt: skip
    gone = dataclasses.replace(away, name="gone", shipped=True)
    monkeypatch.setattr(catalog, "_KNOWN", (good, bad, away, gone))
    store.cache_dir().mkdir()
    for name in ("good.pth", "bad.pth"):
        (store.cache_dir() / name).write_bytes(data)
    found = list(weights.see_weights())
    assert of(found, "good").state == "ok"
    assert "is right" in of(found, "good").found
    assert of(found, "bad").state == "wrong"
    assert of(found, "bad").advice == "remove it; then vidcolor weights fetch bad"
    assert of(found, "away") == Finding(
        "weights", "away", "not here; BSD, example.org/c", "absent", "vidcolor weights fetch away"
    )
    assert of(found, "gone").state == "wrong"


def test_converted_weights_must_be_for_their_network(monkeypatch, tmp_path):
    import torch
    from safetensors.torch import save_file

    spec = WeightsSpec("mine", "colorizer", "eccv16", "MIT", "here", (WeightFile("x.pth"),))
    monkeypatch.setattr(catalog, "_KNOWN", (spec,))
    store.cache_dir().mkdir()
    path = store.cache_dir() / "mine.safetensors"
    for model, state in (("eccv16", "ok"), ("deoldify", "wrong")):
        save_file({"x": torch.zeros(1)}, path, {"model": model})
        assert of(weights.see_weights(), "mine").state == state
    path.write_bytes(b"no")
    assert of(weights.see_weights(), "mine").state == "wrong"


def test_detectors_without_the_network():
    found = {one.what: one.state for one in weights.see_detectors()}
    assert found["motion"] == "ok"
    assert found["torchvision, on CPUs"] in ("absent", "warning")


# -- folders and environment -----------------------------------------------------------------------


def test_folders(monkeypatch, tmp_path):
    found = of(places.see_folders(), "cache")
    assert (found.state, "not made yet" in found.found) == ("ok", True)
    assert not store.cache_dir().exists()  # looking changes nothing
    monkeypatch.setattr(places, "_LEAST_ROOM", 1 << 60)
    assert {one.state for one in places.see_folders()} == {"warning"}


def test_a_folder_that_cannot_be_written(monkeypatch):
    def refused(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(places.tempfile, "TemporaryFile", refused)
    found = {one.what: one for one in places.see_folders()}
    assert found["cache"].state == "wrong"
    assert "Permission denied" in found["cache"].found
    assert found["working folder"].state == "warning"


def test_only_known_variables_are_told_of():
    environment = {
        "VIDCOLOR_OUTPUT__CRF": "20", "OMP_NUM_THREADS": "4", "AWS_SECRET_ACCESS_KEY": "hidden",
        "https_proxy": "http://me:hidden@proxy", "PATH": "/hidden",
    }  # fmt: skip
    found = {one.what: one.found for one in places.see_environment(environment)}
    assert found == {"VIDCOLOR_OUTPUT__CRF": "20", "OMP_NUM_THREADS": "4", "https_proxy": "is set"}
    assert {one.state for one in places.see_environment({})} == {"absent"}


def test_variables_that_are_no_settings_are_wrong_and_the_rest_goes_on():
    config, fault = places.settings_here({"VIDCOLOR_OUTPUT__CRF": "21"})
    assert (config.output.crf, fault) == (21, None)
    config, fault = places.settings_here({"VIDCOLOR_OUTPUT__CRFF": "21"})
    assert (config.output.crf, fault.state) == (None, "wrong")
    assert "did you mean VIDCOLOR_OUTPUT__CRF?" in fault.found


# -- the whole -------------------------------------------------------------------------------------


def test_a_check_that_breaks_off_is_a_finding(monkeypatch):
    def broken():
        yield Finding("codecs", "first", "there")
        raise RuntimeError("a library\nis broken in /home/alice/lib")

    monkeypatch.setattr(codecs, "see_codecs", broken)
    examination = Examination("cpu", test=False, veil=VEIL)
    found = list(examination)
    assert of(found, "first").state == "ok"
    fault = of(found, "this check")
    assert fault.found == "broke off: RuntimeError: a library is broken in ~/lib"
    assert not works(found)
    assert of(found, "motion").state == "ok"  # what comes after it
    assert any(row.startswith("Traceback") for row in examination.log)


def test_only_what_is_wrong_means_that_it_does_not_work():
    well = [Finding("a", "b", "c", state) for state in ("ok", "absent", "warning")]
    assert works(well)
    assert not works([*well, Finding("a", "b", "c", "wrong")])


def test_lines_have_headings_marks_and_advice():
    found = Finding("codecs", "h264", "does not encode: no such encoder", "wrong", "install it")
    assert lines(found, None) == [
        "codecs",
        "  WRONG    h264                     does not encode: no such encoder",
        "                                 -> install it",
    ]
    assert lines(found, "codecs") == lines(found, None)[1:]
    assert lines(found, "other")[0] == ""
    absent = dataclasses.replace(found, state="absent")
    assert len(lines(absent, "codecs")) == 1


def test_a_bundle_has_everything_and_nothing_private(tmp_path):
    path = tmp_path / "b.zip"
    examination = Examination("cpu", test=False, veil=VEIL)
    config = examination.config
    guidance = dataclasses.replace(config.guidance, hints="/home/alice/secret film/hints.json")
    config = dataclasses.replace(config, guidance=guidance)
    findings = [Finding("a", "b", VEIL("/home/alice/x"), "warning", "do it")]
    report = to_json(findings, seconds=1.0)
    log = ["alice opened /home/alice/x on studio"]
    write_bundle(path, findings, report, to_toml(config), log, VEIL)
    with zipfile.ZipFile(path) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert texts.keys() == {
        "report.txt", "report.json", "config.toml", "packages.txt", "log.txt",
    }  # fmt: skip
    everything = "".join(texts.values())
    assert not re.search(r"alice|studio", everything)
    assert json.loads(texts["report.json"])["findings"][0]["found"] == "~/x"
    assert "-> do it" in texts["report.txt"]
    assert 'hints = "~/secret film/hints.json"' in texts["config.toml"]
    assert texts["log.txt"] == "USER opened ~/x on HOST\n"
    assert re.search(r"^numpy==\d", texts["packages.txt"], re.MULTILINE)
    assert "/" not in texts["packages.txt"]


def test_a_user_who_is_called_like_a_setting_keeps_the_settings_whole(tmp_path):
    veil = Veil.of(("/home/output",), "output", ("cut",))
    path = tmp_path / "b.zip"
    write_bundle(path, [], "{}", Examination("cpu", veil=veil).settings(), [], veil)
    with zipfile.ZipFile(path) as archive:
        settings = archive.read("config.toml").decode()
    assert "[output]" in settings
    assert "[cut]" in settings


def test_a_new_file_is_whole_or_not_there_and_replaces_nothing(tmp_path):
    path = tmp_path / "b.zip"
    with bundle.new_file(path) as file:
        file.write_bytes(b"all")
        assert not path.exists()
    assert path.read_bytes() == b"all"
    with pytest.raises(MediaError, match="exists"), bundle.new_file(path):
        pass
    other = tmp_path / "c.zip"
    with contextlib.suppress(KeyboardInterrupt), bundle.new_file(other) as file:
        file.write_bytes(b"half")
        raise KeyboardInterrupt
    assert not other.exists()
    with pytest.raises(MediaError, match="appeared meanwhile"), bundle.new_file(other):
        other.write_bytes(b"mine")
    assert other.read_bytes() == b"mine"
    with pytest.raises(MediaError, match="No such file"), bundle.new_file(tmp_path / "x" / "b.zip"):
        pass
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b.zip", "c.zip"]


def test_the_text_of_a_report_is_what_is_printed():
    found = [Finding("a", "x", "1"), Finding("a", "y", "2"), Finding("b", "z", "3")]
    rows = bundle.report_text(found).splitlines()
    assert [row.split()[0] if row else "" for row in rows] == ["a", "ok", "ok", "", "b", "ok"]
