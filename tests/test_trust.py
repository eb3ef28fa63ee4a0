"""Weights, plans and settings are data, never code; nothing is written or fetched behind our back.

A scan of the source finds what could run or fetch something, with a list of the few places that
may; then real attacks. SECURITY.md says what is promised; the attacks on each reader of weights are
in models/test_foreign_files.py, models/test_torch7.py and test_export.py, those on the page in
preview/web/test_web_guard.py.
"""

import ast
import functools
import hashlib
import http.server
import io
import json
import os
import pickle
import re
import struct
import subprocess
import sys
import tarfile
import threading
import tomllib
import zipfile
from pathlib import Path

import pytest
import torch
from media import make_video

from vidcolor.errors import ConfigError, GuidanceError, MediaError, WeightsError
from vidcolor.io.video import VideoReader
from vidcolor.models import addresses, catalog, formats, registry, store
from vidcolor.models import download as loader
from vidcolor.models.catalog import WeightFile, WeightsSpec
from vidcolor.models.download import download

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "vidcolor"
TOOLS = ("scripts", "benchmarks")

# -- the scan --------------------------------------------------------------------------------------

RUNS = {
    "builtins.eval", "builtins.exec", "builtins.compile", "builtins.__import__",
    "eval", "exec", "compile", "__import__", "runpy.run_path", "runpy.run_module",
    "code.interact", "importlib.import_module", "importlib.util.spec_from_file_location",
    "ctypes.CDLL", "ctypes.cdll.LoadLibrary", "ctypes.PyDLL",
    "torch.ops.load_library", "torch.classes.load_library", "torch.utils.cpp_extension.load",
}  # fmt: skip
UNPICKLES = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "pickle._Unpickler", "pickle.dump",
    "pickle.dumps",
    "cPickle.load", "dill.load", "dill.loads", "cloudpickle.load", "cloudpickle.loads",
    "joblib.load", "marshal.load", "marshal.loads", "shelve.open",
    "numpy.lib.format.read_array", "pandas.read_pickle", "torch.hub.load",
    "torch.hub.load_state_dict_from_url", "torch.jit.load", "torch.export.load",
    "torch.package.PackageImporter", "torch.load", "numpy.load", "onnx.load", "onnx.hub.load",
    "yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all",
}  # fmt: skip
STARTS = {
    "os.system", "os.popen", "os.startfile", "pty.spawn", "subprocess.run", "subprocess.Popen",
    "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.getoutput",
    "subprocess.getstatusoutput", "asyncio.create_subprocess_shell",
    "asyncio.create_subprocess_exec", "webbrowser.open", "webbrowser.get",
    "os.execl", "os.execle", "os.execlp", "os.execv", "os.execve", "os.execvp", "os.spawnl",
    "os.spawnle", "os.spawnlp", "os.spawnv", "os.spawnve", "os.spawnvp", "os.posix_spawn",
}  # fmt: skip
UNPACKS = {"tarfile.extractall", "shutil.unpack_archive", "zipfile.extractall"}
GUESSABLE = {"tempfile.mktemp", "os.tempnam", "os.tmpnam"}
PARSES = {
    "xml.etree.ElementTree.parse", "xml.etree.ElementTree.fromstring", "xml.dom.minidom.parse",
    "xml.dom.minidom.parseString", "xml.sax.parse", "xml.sax.parseString", "lxml.etree.parse",
}  # fmt: skip
MODULES = {  # that fetch, and the unsafe parsers: nobody imports them at all
    "requests", "httpx", "aiohttp", "urllib3", "ftplib", "telnetlib", "smtplib", "xmlrpc", "dill",
    "cloudpickle", "joblib", "shelve", "marshal", "yaml", "xml", "lxml", "runpy", "pty",
    "huggingface_hub", "timm", "gdown", "imp",
}  # fmt: skip
FETCHES = {"urllib.request", "urllib.error", "http.client", "ssl"}

ALLOWED = {
    # where: what, and why
    ("models/registry.py", "importlib.import_module"),  # of a file of ours, see the test below
    ("stages/zoo_file.py", "pickle._Unpickler"),  # knows arrays only
    ("tensor_file.py", "torch.load"),  # weights_only, see the scan
    ("export.py", "torch.export.load"),  # what it has just written itself
    ("train/loop/folder.py", "subprocess.run"),  # git, about our own folder
    ("preview/web/server/serve.py", "webbrowser.open"),  # our own address
}
FETCHERS = {"models/download.py", "models/addresses.py"}


def sources(*folders):
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")


class Names(ast.NodeVisitor):
    """Calls, other uses and imports by their full names, whatever they were imported as."""

    def __init__(self, tree):
        self.known, self.imports, self.calls, self.uses = {}, set(), [], []
        self.visit(tree)
        # names are known only after all imports were seen, wherever those stand
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                self.calls.append((self.name(node.func), node))
            if isinstance(node, ast.Name | ast.Attribute):
                self.uses.append((self.name(node), node))

    def visit_Import(self, node):
        for one in node.names:
            self.imports.add(one.name)
            if one.asname:
                self.known[one.asname] = one.name
            else:
                self.known[one.name.partition(".")[0]] = one.name.partition(".")[0]

    def visit_ImportFrom(self, node):
        if node.module and not node.level:
            self.imports.add(node.module)
            for one in node.names:
                self.known[one.asname or one.name] = f"{node.module}.{one.name}"
                self.imports.add(f"{node.module}.{one.name}")

    def name(self, node):
        if isinstance(node, ast.Name):
            return self.known.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            return f"{self.name(node.value)}.{node.attr}"
        return "?"


def keywords(node):
    return {k.arg: getattr(k.value, "value", "?") for k in node.keywords}


@functools.cache
def parsed(text):
    tree = ast.parse(text)
    return tree, Names(tree)


def faults(where, text):
    """Everything in a source file that must not be there."""
    tree, names = parsed(text)
    wanted = RUNS | UNPICKLES | STARTS | UNPACKS | GUESSABLE | PARSES
    for name, node in names.uses:
        if name in wanted - {"numpy.load"} and (where, name) not in ALLOWED:
            yield f"{where}:{node.lineno}: {name}"
    for name, node in names.calls:
        given = keywords(node)
        place = f"{where}:{node.lineno}: {name}"
        if name == "numpy.load" and given.get("allow_pickle", False) is not False:
            yield f"{place} unpickles"
        if name == "torch.load" and given.get("weights_only") is not True:
            yield f"{place} without weights_only=True"
        if name.startswith("subprocess.") and given.get("shell", False) is not False:
            yield f"{place} through a shell"
        packed = names.imports & {"tarfile", "zipfile", "shutil"}
        if packed and name.rpartition(".")[2] in ("extractall", "extract", "_extract_member"):
            yield f"{place} unpacks an archive"
        if "_create_unverified_context" in name or given.get("verify", True) is False:
            yield f"{place} believes every server"
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if getattr(key, "value", None) == "protocol_whitelist":
                    may = set(str(getattr(value, "value", "?")).split(","))
                    if not may <= {"file", "pipe"}:
                        yield f"{where}:{node.lineno}: lets FFmpeg reach {may}"
    for module in sorted(names.imports):
        top = module.partition(".")[0]
        if top in MODULES:
            yield f"{where}: imports {module}"
        if module in FETCHES and where not in FETCHERS:
            yield f"{where}: imports {module}"


def test_nothing_in_the_package_can_run_or_fetch_what_a_file_says():
    found = [fault for where, text in sources(PACKAGE) for fault in faults(where, text)]
    assert found == []


def test_every_exception_is_still_needed():
    used = {(where, name) for where, text in sources(PACKAGE) for name, _ in parsed(text)[1].uses}
    assert ALLOWED - used == set()
    assert all((PACKAGE / where).is_file() for where in FETCHERS)


BAD = {
    "import pickle as p\np.load(f)": "pickle.load",
    "from pickle import loads as l\nl(b)": "pickle.loads",
    "import torch\ntorch.load(f)": "without weights_only",
    "import torch\ntorch.load(f, weights_only=False)": "without weights_only",
    "import torch as t\nt.load(f, weights_only=flag)": "without weights_only",
    "eval(x)": "eval",
    "import builtins\nbuiltins.exec(x)": "builtins.exec",
    "import os\nos.system(x)": "os.system",
    "import os\nrun = os.system\nrun(x)": "os.system",
    "import pickle\nclass A(pickle.Unpickler):\n    pass": "pickle.Unpickler",
    "def f():\n    from torch import load\n    load(p)": "without weights_only",
    "from os import system\nsystem(x)": "os.system",
    "import subprocess\nsubprocess.run(x, shell=True)": "through a shell",
    "import subprocess as s\ns.Popen(x)": "subprocess.Popen",
    "import tarfile\nwith tarfile.open(p) as a:\n    a.extractall()": "unpacks an archive",
    "import zipfile\nzipfile.ZipFile(p).extract(n)": "unpacks an archive",
    "import shutil\nshutil.unpack_archive(p)": "shutil.unpack_archive",
    "import numpy as np\nnp.load(p, allow_pickle=True)": "unpickles",
    "import yaml": "imports yaml",
    "import tempfile\ntempfile.mktemp()": "tempfile.mktemp",
    "import requests": "imports requests",
    "from urllib import request": "imports urllib.request",
    "import urllib.request": "imports urllib.request",
    "import importlib\nimportlib.import_module(x)": "importlib.import_module",
    "import ctypes\nctypes.CDLL(x)": "ctypes.CDLL",
    "import xml.etree.ElementTree as E": "imports xml",
    "import onnx\nonnx.load(p)": "onnx.load",
    "import ssl\nssl._create_unverified_context()": "believes every server",
    "import av\nav.open(p, options={'protocol_whitelist': 'http'})": "lets FFmpeg reach",
}


@pytest.mark.parametrize("code", BAD)
def test_the_scan_sees(code):
    assert any(BAD[code] in fault for fault in faults("x.py", code))


def test_the_scan_lets_be_what_is_harmless():
    harmless = (
        "import numpy as np\nimport urllib.parse\nimport re\nnp.load(p)\nre.compile(x)\n"
        "model.eval()\nimport torch\nregexp.exec(x)\nimport json\njson.load(f)"
    )
    assert list(faults("x.py", harmless)) == []


def test_tools_unpickle_nothing_either():
    for folder in TOOLS:
        for where, text in sources(ROOT / folder):
            for name, node in parsed(text)[1].calls:
                given = keywords(node)
                assert name not in (UNPICKLES - {"torch.load", "numpy.load", "onnx.load"}), where
                assert name != "torch.load" or given.get("weights_only") is True, where
                assert given.get("allow_pickle", False) is False, where
                assert given.get("shell", False) is False, where
                assert name not in ("eval", "exec", "os.system", "tempfile.mktemp"), where


# -- settings name no code -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["os", "..cli", "../x", "formats", "a.b", "", "torch7 ", "__init__"]
)
def test_a_network_is_a_name_in_a_list_and_no_module(name, monkeypatch):
    imported = []
    monkeypatch.setattr(registry.importlib, "import_module", imported.append)
    with pytest.raises(ConfigError):
        registry.create_model(name)
    assert all(re.fullmatch(r"vidcolor\.models\.[a-z0-9_]+", one) for one in imported)
    assert all(one.rpartition(".")[2] != name for one in imported)


def test_a_config_is_read_as_toml_and_nothing_else(tmp_path):
    from vidcolor.config import Config
    from vidcolor.schema import load, read_toml

    path = tmp_path / "a.toml"
    path.write_text('device = "!!python/object/apply:os.system [touch boom]"\n')
    assert load(Config, read_toml(path)).device.startswith("!!python")  # a word, and no device
    path.write_text("__class__ = 1\n")
    with pytest.raises(ConfigError, match="__class__"):
        load(Config, read_toml(path))


# -- weights ---------------------------------------------------------------------------------------


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


def test_the_bomb_works(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "boom")))
    assert (tmp_path / "boom").exists()


@pytest.mark.parametrize("suffix", ["pt", "pth", "t7", "bin", "ckpt", "safetensors", "onnx", "pt2"])
@pytest.mark.parametrize("form", ["zip", "legacy", "plain"])
def test_a_command_in_a_weight_file_is_never_run(suffix, form, tmp_path):
    from vidcolor.models.weights import load_model

    boom, path = tmp_path / "boom", tmp_path / f"net.{suffix}"
    content = {"state_dict": {"a.weight": torch.zeros(1)}, "hook": Bomb(boom)}
    if form == "plain":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    for read in (load_model, lambda p: store.import_files("iizuka16", [p])):
        with pytest.raises(WeightsError) as caught:
            read(path)
        assert "\n" not in str(caught.value)
    assert not boom.exists()


def test_a_safetensors_file_that_promises_more_than_it_has_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    heads = (
        {"x": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}},
        {"x": {"dtype": "F32", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 4]}},
        {"x": {"dtype": "F32", "shape": [1], "data_offsets": [8, 4]}},
        {"x": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}},
    )
    for head in heads:
        text = json.dumps(head).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
        with pytest.raises(WeightsError, match="damaged"):
            formats.read_tensors(path)
    for length in (1 << 40, (1 << 64) - 1, 100_000_001):
        path.write_bytes(struct.pack("<Q", length) + b"{}" + bytes(64))
        with pytest.raises(WeightsError, match="damaged"):
            formats.read_tensors(path)


def test_a_zip_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path, monkeypatch):
    """A member of 20 MB of zeros takes 20 kB in the file."""
    name = "coco_finetuned_mask_256_ffs/latest_net_{}.pth"
    path = tmp_path / "checkpoints.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in ("G", "GF", "GComp"):
            archive.writestr(name.format(part), bytes(20_000_000))
    spec = WeightsSpec(
        "su", "colorizer", "instcolor", "MIT", "here", (WeightFile("one.pth"),), foreign=True
    )
    monkeypatch.setattr(catalog, "_KNOWN", (spec,))
    with pytest.raises(WeightsError, match="unpack to"):
        store.import_files("su", [path])


def test_a_pth_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path):
    plain, packed = tmp_path / "plain.pth", tmp_path / "packed.pth"
    torch.save({"x": torch.zeros(5_000_000)}, plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            new.writestr(member, old.read(member))
    assert packed.stat().st_size < 100_000
    with pytest.raises(WeightsError, match="unpack to more"):
        formats.read_tensors(packed)
    assert formats.read_tensors(plain)["x"].shape == (5_000_000,)


def test_weights_of_an_onnx_file_come_from_that_file_alone(tmp_path):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    from vidcolor.models.onnx import CARD_KEY, ExportCard, open_onnx

    secret = tmp_path / "secret"
    secret.write_bytes(bytes(16))
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    tensor = TensorProto(name="w", dims=[4], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["lightness", "w"], ["ab"])],
        "g",
        [value("lightness", TensorProto.FLOAT, [4])],
        [value("ab", TensorProto.FLOAT, [4])],
        [tensor],
    )
    model = helper.make_model(graph)
    card = ExportCard(
        "eccv16", {}, 8, 4, 256, None, None, False, 0, (), "w", "", "MIT", "0.1.0"
    )  # fmt: skip
    model.metadata_props.add(key=CARD_KEY, value=card.to_text())
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match="keeps weights in other files"):
        open_onnx(path)
    assert onnx.__name__ == "onnx"


# -- downloads -------------------------------------------------------------------------------------

BODY = bytes(range(256)) * 400
SHA = hashlib.sha256(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends `server.body`, or on to `server.location`; counts who asked."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        if self.server.location and self.path == "/net.pth":
            self.send_response(302)
            self.send_header("Location", self.server.location)
            self.end_headers()
            return
        self.send_response(200)
        if self.server.length is not None:
            self.send_header("Content-Length", str(self.server.length))
        self.end_headers()
        self.wfile.write(self.server.body)


class Server(http.server.ThreadingHTTPServer):
    """Says nothing about clients that go away, which is what is tested."""

    def handle_error(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(loader, "_PAUSES_S", ())
    made = Server(("127.0.0.1", 0), Handler)
    made.body, made.length, made.location, made.asked = BODY, len(BODY), None, []
    made.url = f"http://127.0.0.1:{made.server_port}/net.pth"
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "cache" / "net.pth"


def left(target):
    return sorted(path.name for path in target.parent.iterdir()) if target.parent.exists() else []


HTTP_ONLY = {"siggraph17-retrained", "siggraph17-caffe", "iizuka16", "iizuka16-imagenet"}


@pytest.mark.parametrize("name", sorted(HTTP_ONLY))
def test_makers_who_do_not_encrypt_are_asked_only_if_the_user_says_so(
    name, monkeypatch, tmp_path, caplog
):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    asked = []
    monkeypatch.setattr(store, "download", lambda url, *_, **given: asked.append((url, given)))
    with pytest.raises(WeightsError, match=rf"over http only.*fetch {name} .*--allow-http"):
        store.fetch(name, accept_license=True)
    assert asked == []
    monkeypatch.setattr(store, "import_files", lambda *_: [])
    store.fetch(name, accept_license=True, plain=True)
    ((url, given),) = asked
    assert (url.partition("://")[0], given["plain"]) == ("http", True)
    assert "comes without encryption" in caplog.text


def test_every_known_address_is_encrypted_and_every_size_is_known_or_limited():
    for spec in catalog.known_weights():
        for file in spec.files:
            for url in (file.url, *file.mirrors):
                plain = url is not None and addresses.unfit(url, plain=False) != ""
                assert plain == (spec.name in HTTP_ONLY), url
            if file.url:
                # where nobody published a checksum, entries and shapes are compared
                assert file.sha256 or file.sha1 or spec.registered or spec.signs, spec.name


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/net.pth", "http://192.168.1.7/net.pth", "http://localhost.example/x",
        "http://127.0.0.1.example.org/x", "http://[2001:db8::1]/x",
    ],
)  # fmt: skip
def test_other_machines_are_asked_over_https_only(url, target):
    with pytest.raises(WeightsError, match="want https"):
        download(url, target, sha256=SHA)
    assert left(target) == []


@pytest.mark.parametrize("url", ["ftp://a/b", "data:,abc", "gopher://a/b", "jar:file:///a", "/a/b"])
def test_other_schemes_are_not_known(url, target):
    with pytest.raises(WeightsError, match="want https, http, file"):
        download(url, target)


def test_the_user_may_say_otherwise(server, monkeypatch, target):
    monkeypatch.setattr(addresses, "_is_here", lambda _: False)
    with pytest.raises(WeightsError, match="want https"):
        download(server.url, target, sha256=SHA)
    assert server.asked == []
    download(server.url, target, sha256=SHA, plain=True)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("http://example.org/net.pth", "want https"),
        ("ftp://example.org/net.pth", "'ftp' is not followed"),
        ("file:///etc/passwd", "302"),
        ("https://me:secret@example.org/net.pth", "name or password"),
    ],
)
def test_redirects_lead_nowhere_unsafe(location, says, server, target):
    server.location = location
    with pytest.raises(WeightsError, match=says) as caught:
        download(server.url, target, sha256=SHA)
    assert "secret" not in str(caught.value)
    assert len(server.asked) == 1
    assert "net.pth" not in left(target)


def test_what_began_encrypted_stays_so():
    handler = addresses._SafeRedirects(plain=True)
    asked = addresses.urllib.request.Request("https://example.org/a")
    for new in ("http://example.org/a", "http://127.0.0.1/a"):
        with pytest.raises(addresses.Refused, match="what began encrypted"):
            handler.redirect_request(asked, None, 302, "Found", {}, new)
    there = handler.redirect_request(asked, None, 302, "Found", {}, "https://cdn.example.org/b")
    assert there.full_url == "https://cdn.example.org/b"


def test_a_body_longer_than_published_is_cut_and_thrown_away(server, target):
    server.body, server.length, seen = BODY * 100, None, []
    with pytest.raises(WeightsError, match=f"more than {len(BODY)} bytes"):
        download(
            server.url,
            target,
            sha256=SHA,
            size=len(BODY),
            progress=lambda done, _: seen.append(done),
        )
    assert max(seen) <= len(BODY) + loader._CHUNK < len(server.body)
    assert left(target) == []


def test_where_no_size_is_published_there_is_still_a_limit(server, target, monkeypatch):
    monkeypatch.setattr(loader, "_MOST_BYTES", 1000)
    with pytest.raises(WeightsError, match="no more than 1000 are taken"):
        download(server.url, target, sha256=SHA)
    server.length = None
    with pytest.raises(WeightsError, match="it does not end"):
        download(server.url, target, sha256=SHA)
    assert left(target) == []


def test_wrong_bytes_are_never_under_the_name(server, target):
    server.body = BODY[:-1] + b"!"
    seen = []
    with pytest.raises(WeightsError, match=r"sha256 .* instead of"):
        download(
            server.url,
            target,
            sha256=SHA,
            size=len(BODY),
            progress=lambda *_: seen.append(left(target)),
        )
    assert left(target) == []
    assert seen
    assert all("net.pth" not in names for names in seen)


def test_a_link_in_the_way_is_not_followed(server, target, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    target.parent.mkdir()
    target.with_name("net.pth.part").symlink_to(victim)
    with pytest.raises(WeightsError, match="is a link, which is not followed"):
        download(server.url, target, sha256=SHA)
    assert victim.read_bytes() == b"mine"
    target.with_name("net.pth.part").unlink()
    target.symlink_to(victim)  # under the name itself the link is replaced
    download(server.url, target, sha256=SHA)
    assert (victim.read_bytes(), target.is_symlink()) == (b"mine", False)


def test_no_message_shows_a_password_or_a_key(server, target, caplog):
    with pytest.raises(WeightsError) as caught:
        download("https://me:secret@example.org/net.pth", target)
    assert "secret" not in str(caught.value)
    server.body = b"wrong"
    server.length = 5
    with caplog.at_level("DEBUG"), pytest.raises(WeightsError) as caught:
        download(f"{server.url}?key=secret", target, sha256=SHA)
    assert "secret" not in str(caught.value) + caplog.text
    assert server.asked[-1][0] == "/net.pth?key=secret"


def test_a_mirror_without_encryption_is_taken_at_the_users_word_and_told_of(
    server, monkeypatch, tmp_path, caplog
):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(addresses, "_is_here", lambda _: False)
    file = WeightFile("net.pth", "https://example.org/net.pth")
    spec = WeightsSpec("net", "backbone", "vgg", "MIT", "here", (file,), signs={"x": (1,)})
    monkeypatch.setattr(catalog, "_KNOWN", (spec,))
    stream = io.BytesIO()
    torch.save({"x": torch.zeros(1)}, stream)
    server.body = stream.getvalue()
    server.length = len(server.body)
    store.fetch("net", base_url=server.url.removesuffix("/net.pth"))
    assert "comes without encryption" in caplog.text


# -- films and pictures ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.m3u8", "a.mkv", "a.mp4"])
def test_a_playlist_that_calls_itself_a_film_reaches_no_other_machine(name, server, tmp_path):
    path = tmp_path / name
    lists = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{server.url}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{server.url}'\n",
        f"ffconcat version 1.0\nfile 'concat:{server.url}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=video {server.server_port} RTP/AVP 96\n",
    )
    for text in lists:
        path.write_text(text)
        with pytest.raises(MediaError), VideoReader(path) as reader:
            next(iter(reader))
    assert server.asked == []


def test_a_list_of_files_does_not_lead_out_of_its_folder(tmp_path):
    film = make_video(tmp_path / "private" / "film.mkv", frames=3).path
    folder = tmp_path / "open"
    folder.mkdir()
    for named in (film, "../private/film.mkv", f"file:{film}"):
        path = folder / "a.mkv"
        path.write_text(f"ffconcat version 1.0\nfile '{named}'\n")
        with pytest.raises(MediaError), VideoReader(path) as reader:
            next(iter(reader))


# -- archives and links ----------------------------------------------------------------------------


def test_names_in_archives_are_keys_and_never_paths(tmp_path):
    from vidcolor.evaluate.sets.shelf import TarShelf

    path = tmp_path / "in" / "set.tar"
    path.parent.mkdir()
    import cv2
    import numpy as np

    png = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    names = ("../../out.png", "/tmp/abs-out.png", "a/../../out2.png", "good.png")
    with tarfile.open(path, "w") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(png)
            archive.addfile(entry, io.BytesIO(png))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    before = sorted(tmp_path.rglob("*"))
    shelf = TarShelf(path)
    assert set(shelf.names) == set(names)  # the link is no picture
    for name in shelf.names:
        assert shelf.read(name).shape == (4, 4, 3)
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/tmp/abs-out.png").exists()


def test_temporary_files_have_names_that_nobody_guesses_and_take_no_link(tmp_path):
    from vidcolor.io.target import Target

    one, other = (Target(tmp_path / "film.mkv", False) for _ in range(2))
    assert one.temporary != other.temporary
    assert re.search(r"[0-9a-f]{8}", one.temporary.name)
    for target in (one, other):
        assert not target.temporary.is_symlink()
        target.discard()


def test_plans_and_hints_are_words_and_numbers(tmp_path):
    """Entries that look like code stay words, and are refused as such."""
    from vidcolor.guidance.hints.entries import read_hints

    path = tmp_path / "hints.json"
    path.write_text('{"__reduce__": ["os.system", "touch boom"]}')
    with pytest.raises(GuidanceError):
        read_hints(path)
    assert not (tmp_path / "boom").exists()


# -- what is promised is tested --------------------------------------------------------------------


def test_security_md_names_tests_that_there_are():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 15
    for file, test in named:
        content = (ROOT / file).read_text(encoding="utf-8")
        assert not test or re.search(rf"^def {test}\(", content, re.MULTILINE), f"{file}::{test}"


def test_security_md_names_the_version_that_is_supported():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"| {project['version'].rpartition('.')[0]}.x | yes |" in text


def test_looking_around_reaches_no_network():
    """`doctor` and `weights list` in a process that cannot open a connection."""
    code = (
        "import socket\n"
        "def refuse(*_, **__):\n    raise SystemExit('asked the network')\n"
        "socket.socket.connect = refuse\nsocket.getaddrinfo = refuse\n"
        "from vidcolor.cli import main\n"
        "raise SystemExit(main(['weights', 'list']) or main(['doctor', '--no-test', '--json']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
