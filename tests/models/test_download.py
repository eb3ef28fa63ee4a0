"""Downloads against a server on this machine that misbehaves in known ways."""

import base64
import datetime
import email.utils
import hashlib
import http.server
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vidcolor.errors import WeightsError
from vidcolor.models import download as loader
from vidcolor.models.download import alone, download, file_sha256

CONTENT = bytes(range(256)) * 3000  # 768,000 bytes
SHA = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Manners:
    """How the server behaves, and what it saw."""

    content: bytes = CONTENT
    ranges: bool = True
    stop_after: int | None = None  # bytes of a response, then the line is cut
    stops: int = 10**9  # how often
    claim_more: int = 0  # added to Content-Length
    wrong_start: bool = False
    status: int = 200
    refusals: int = 10**9  # how often it answers with `status`, if that is an error
    retry_after: str | None = None
    location: str | None = None
    kind: str = "application/octet-stream"
    stall_after: int | None = None  # bytes of a response, then silence for `stall_s`
    stall_s: float = 0.0
    trickle: int | None = None  # bytes at a time, `stall_s` apart
    endless: bool = False
    length: bool = True
    asked: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    proxy_names: list[str | None] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)  # the test is over


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        self.server.manners.paths.append(self.path)
        self.send_error(403)

    def do_GET(self):
        m = self.server.manners
        m.asked.append(self.headers.get("Range"))
        m.paths.append(self.path)
        m.proxy_names.append(self.headers.get("Proxy-Authorization"))
        if m.location is not None and not self.path.endswith(m.location):
            self.send_response(m.status)
            self.send_header("Location", m.location)
            self.end_headers()
            return
        if m.status >= 400 and m.refusals > 0:
            m.refusals -= 1
            self.send_response(m.status)
            if m.retry_after is not None:
                self.send_header("Retry-After", m.retry_after)
            self.end_headers()
            return
        start = 0
        if m.ranges and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(m.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(m.content)}")
                self.end_headers()
                return
            self.send_response(206)
            told = start + 1 if m.wrong_start else start
            self.send_header("Content-Range", f"bytes {told}-{len(m.content) - 1}/{len(m.content)}")
        else:
            self.send_response(200)
        body = m.content[start:]
        self.send_header("Content-Type", m.kind)
        if m.length and not m.endless:
            self.send_header("Content-Length", str(len(body) + m.claim_more))
        self.end_headers()
        if m.stop_after is not None and m.stops > 0:
            m.stops -= 1
            body = body[: m.stop_after]
        elif m.stall_after is not None and m.stops > 0:
            m.stops -= 1
            self.wfile.write(body[: m.stall_after])
            m.gone.wait(m.stall_s)
            body = body[m.stall_after :]
        for piece in _pieces(body, m.trickle):
            self.wfile.write(piece)
            m.gone.wait(m.stall_s if m.trickle else 0)
        while m.endless and not m.gone.is_set():
            self.wfile.write(body)


def _pieces(body, size):
    return [body[i : i + size] for i in range(0, len(body), size)] if size else [body]


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """Clients go away in the middle: that is what is tested."""


@pytest.fixture
def manners():
    return Manners()


@pytest.fixture
def url(manners, monkeypatch):
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)
    monkeypatch.setattr(loader, "_PAUSES_S", (0.0, 0.0))
    server = _Server(("127.0.0.1", 0), _Handler)
    server.manners = manners
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/net.pth"
    manners.gone.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "deep" / "net.pth"


def _nothing_installed(target):
    return not target.exists()


def _part(target):
    return target.with_name("net.pth.part")


def test_whole_file_with_progress(url, target):
    seen = []
    digest = download(
        url, target, sha256=SHA[:8], size=len(CONTENT), progress=lambda *p: seen.append(p)
    )
    assert target.read_bytes() == CONTENT
    assert digest == SHA == file_sha256(target)
    assert not _part(target).exists()
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_goes_on_where_the_line_broke(url, manners, target):
    manners.stop_after = 300_000
    download(url, target, sha256=SHA)
    assert target.read_bytes() == CONTENT
    assert manners.asked == [None, "bytes=300000-", "bytes=600000-"]


def test_a_later_call_goes_on_too(url, manners, target):
    target.parent.mkdir()
    _part(target).write_bytes(CONTENT[:500_000])
    seen = []
    download(url, target, sha256=SHA, progress=lambda *p: seen.append(p))
    assert manners.asked == ["bytes=500000-"]
    assert seen[0] == (500_000, len(CONTENT))
    assert target.read_bytes() == CONTENT


def test_server_without_ranges_starts_over(url, manners, target):
    manners.ranges = False
    manners.stop_after, manners.stops = 300_000, 2
    download(url, target, sha256=SHA)
    assert target.read_bytes() == CONTENT


def test_server_without_ranges_that_always_breaks_off(url, manners, target):
    manners.ranges = False
    manners.stop_after = 300_000
    with pytest.raises(WeightsError, match="stopped at 300000 of 768000 bytes"):
        download(url, target, sha256=SHA)
    assert _nothing_installed(target)
    assert len(manners.asked) <= 5


def test_a_complete_part_is_not_fetched_again(url, manners, target):
    target.parent.mkdir()
    _part(target).write_bytes(CONTENT)
    download(url, target, sha256=SHA)
    assert manners.asked == ["bytes=768000-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"x" * 1000, b"x" * 900_000])
def test_a_part_of_something_else_is_dropped(left, url, manners, target):
    target.parent.mkdir()
    _part(target).write_bytes(left)
    download(url, target, sha256=SHA)
    assert target.read_bytes() == CONTENT
    assert manners.asked[-1] is None


def test_a_length_that_is_too_large(url, manners, target):
    manners.claim_more = 100
    manners.ranges = False
    with pytest.raises(WeightsError, match="stopped at 768000 of 768100"):
        download(url, target, sha256=SHA)
    assert _nothing_installed(target)


def test_a_length_that_is_too_small(url, manners, target):
    manners.claim_more = -100
    with pytest.raises(WeightsError, match="sha256"):
        download(url, target, sha256=SHA)
    assert _nothing_installed(target)
    assert not _part(target).exists()


def test_no_length_at_all(url, manners, target):
    manners.length = False
    seen = []
    download(url, target, sha256=SHA, progress=lambda *p: seen.append(p))
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), None)


def test_a_cut_that_no_length_betrays_is_seen_by_the_checksum(url, manners, target):
    manners.length = False
    manners.stop_after = 400_000
    with pytest.raises(WeightsError, match="sha256"):
        download(url, target, sha256=SHA)
    assert _nothing_installed(target)


@pytest.mark.parametrize("limits", [{"sha256": SHA}, {"sha256": SHA[:8]}, {"size": 768_000}])
def test_wrong_bytes(limits, url, manners, target):
    manners.content = CONTENT[:-1] + (b"" if "size" in limits else b"!")
    with pytest.raises(WeightsError, match="not the file it should be"):
        download(url, target, **limits)
    assert _nothing_installed(target)
    assert not _part(target).exists()


def test_own_check_decides_too(url, target):
    def check(path):
        assert path.read_bytes() == CONTENT
        raise WeightsError("no weights in it")

    with pytest.raises(WeightsError, match="no weights in it; nothing installed"):
        download(url, target, check=check)
    assert _nothing_installed(target)


def test_a_range_that_was_not_asked_for(url, manners, target):
    manners.wrong_start = True
    target.parent.mkdir()
    _part(target).write_bytes(CONTENT[:10])
    with pytest.raises(WeightsError, match="asked for bytes from 10 on"):
        download(url, target, sha256=SHA)
    assert _nothing_installed(target)


@pytest.mark.parametrize(
    ("status", "words", "times"),
    [
        (404, "404 Not Found", 1),
        (403, "403 Forbidden", 1),
        (410, "410 Gone", 1),
        (407, "407 Proxy Authentication Required", 1),
        (429, "429 Too Many Requests, asked 3 times; try again later", 3),
        (500, "500 Internal Server Error, asked 3 times", 3),
        (503, "503 Service Unavailable, asked 3 times", 3),
    ],
)
def test_refusals(status, words, times, url, manners, target):
    manners.status = status
    with pytest.raises(WeightsError, match=words) as caught:
        download(url, target)
    assert len(str(caught.value).splitlines()) == 1
    assert len(manners.asked) == times
    assert _nothing_installed(target)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_server_that_is_busy_is_asked_again(status, url, manners, target):
    manners.status, manners.refusals = status, 2
    download(url, target, sha256=SHA)
    assert target.read_bytes() == CONTENT
    assert len(manners.asked) == 3


def test_a_busy_server_in_the_middle(url, manners, target):
    target.parent.mkdir()
    _part(target).write_bytes(CONTENT[:500_000])
    manners.status, manners.refusals = 503, 1
    download(url, target, sha256=SHA)
    assert manners.asked == ["bytes=500000-"] * 2
    assert target.read_bytes() == CONTENT


def _date(seconds):
    now = datetime.datetime.now(datetime.UTC)
    return email.utils.format_datetime(now + datetime.timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("text", ["1", "date", "soon"])
def test_the_server_says_how_long_to_wait(text, url, manners, target, monkeypatch):
    waited = []
    monkeypatch.setattr(loader.time, "sleep", waited.append)
    manners.status, manners.refusals = 429, 1
    manners.retry_after = _date(30) if text == "date" else text
    download(url, target, sha256=SHA)
    (seconds,) = waited
    expected = {"1": (1, 1), "date": (27, 30), "soon": (0, 0)}[text]  # what is no time is ignored
    assert expected[0] <= seconds <= expected[1]


@pytest.mark.parametrize("text", ["3600", "date"])
def test_a_server_that_wants_to_be_left_alone_for_long(text, url, manners, target):
    manners.status = 429
    manners.retry_after = _date(3600) if text == "date" else text
    with pytest.raises(WeightsError, match=r"429 Too Many Requests; .* in 3[56]\d\d s"):
        download(url, target)
    assert len(manners.asked) == 1


# --- detours ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_keep_the_place(status, url, manners, target):
    target.parent.mkdir()
    _part(target).write_bytes(CONTENT[:10])
    manners.status, manners.location = status, "/elsewhere/real.pth"
    download(url, target, sha256=SHA)
    assert target.read_bytes() == CONTENT
    assert manners.paths == ["/net.pth", "/elsewhere/real.pth"]
    assert manners.asked == ["bytes=10-", "bytes=10-"]


def test_redirects_in_a_circle_and_into_files(url, manners, target, tmp_path):
    manners.status, manners.location = 302, "?"  # itself
    with pytest.raises(WeightsError, match="redirect error") as caught:
        download(url, target)
    assert len(str(caught.value).splitlines()) == 1
    (tmp_path / "secret").write_bytes(CONTENT)
    manners.location = (tmp_path / "secret").as_uri()
    with pytest.raises(WeightsError, match="302"):
        download(url, target)
    assert _nothing_installed(target)


def test_a_web_page_instead_of_the_file(url, manners, target):
    manners.kind = "text/html; charset=utf-8"
    with pytest.raises(WeightsError, match="a web page there"):
        download(url, target)
    assert _nothing_installed(target)
    assert not _part(target).exists()


# --- slow lines ---------------------------------------------------------------------------------


def test_silence_ends_and_what_came_is_kept(url, manners, target, monkeypatch):
    monkeypatch.setattr(loader, "_TIMEOUT_S", 0.3)
    manners.stall_after, manners.stall_s, manners.stops = 300_001, 30.0, 1
    download(url, target, sha256=SHA)
    assert target.read_bytes() == CONTENT
    assert manners.asked == [None, "bytes=300001-"]  # not a byte of it was lost


def test_slow_is_not_silent(url, manners, target, monkeypatch):
    monkeypatch.setattr(loader, "_TIMEOUT_S", 0.4)
    manners.trickle, manners.stall_s = 100_000, 0.1
    started = time.monotonic()
    download(url, target, sha256=SHA)
    assert time.monotonic() - started > 0.4  # longer than silence may last
    assert manners.asked == [None]


def test_a_server_that_never_ends(url, manners, target):
    manners.endless = True
    with pytest.raises(WeightsError, match="more than 768000 bytes instead of 768000"):
        download(url, target, sha256=SHA, size=len(CONTENT))
    assert _nothing_installed(target)
    assert not _part(target).exists()


def test_a_server_that_sends_more_than_it_says(url, manners, target):
    manners.content, manners.claim_more = CONTENT + b"more", -4
    download(url, target, sha256=SHA, size=len(CONTENT))
    assert target.read_bytes() == CONTENT


def test_offline_is_one_line(target, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1 does not answer .*offline\?") as caught:
        download("http://127.0.0.1:9/net.pth", target)
    assert len(str(caught.value).splitlines()) == 1
    assert _nothing_installed(target)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_a_proxy_of_the_environment_is_used(variable, url, manners, target, monkeypatch):
    monkeypatch.setenv(variable, url.removesuffix("/net.pth"))
    download("http://nowhere.invalid/net.pth", target, sha256=SHA, plain=True)
    assert manners.paths == ["http://nowhere.invalid/net.pth"]


def test_a_proxy_that_wants_a_name(url, manners, target, monkeypatch):
    host = url.removeprefix("http://").removesuffix("/net.pth")
    monkeypatch.setenv("http_proxy", f"http://me:secret@{host}")
    download("http://nowhere.invalid/net.pth", target, sha256=SHA, plain=True)
    (name,) = manners.proxy_names
    assert base64.b64decode(name.removeprefix("Basic ")) == b"me:secret"


def test_a_proxy_for_safe_connections(url, manners, target, monkeypatch):
    host = url.removeprefix("http://").removesuffix("/net.pth")
    monkeypatch.setenv("https_proxy", f"http://me:secret@{host}")
    with pytest.raises(WeightsError, match=f"nowhere.invalid through the proxy {host}.*403") as e:
        download("https://nowhere.invalid/net.pth", target, sha256=SHA)
    assert manners.paths == ["nowhere.invalid:443"]
    assert "secret" not in str(e.value)


def test_hosts_that_need_no_proxy(url, manners, target, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1 through the proxy 127\.0\.0\.1:9 does"):
        download(url, target, sha256=SHA)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    download(url, target, sha256=SHA)
    assert manners.paths == ["/net.pth"]


def test_no_safe_connection(url, target):
    with pytest.raises(WeightsError, match=r"no safe connection to 127.*SSL_CERT_FILE") as caught:
        download(url.replace("http:", "https:"), target)
    assert len(str(caught.value).splitlines()) == 1


def test_local_files(tmp_path, target):
    source = tmp_path / "a file.pth"
    source.write_bytes(CONTENT)
    target.parent.mkdir()
    _part(target).write_bytes(b"left")  # no Range here: starts over
    download(source.as_uri(), target, sha256=SHA)
    assert target.read_bytes() == CONTENT
    with pytest.raises(WeightsError, match="No such file"):
        download((tmp_path / "absent").as_uri(), target.with_name("other"))
    with pytest.raises(WeightsError, match="want http"):
        download("ftp://example.org/net.pth", target)


def test_unwritable_folder(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(WeightsError, match="cannot write"):
        download((tmp_path / "taken").as_uri(), tmp_path / "taken" / "net.pth")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk(url, target, monkeypatch):
    monkeypatch.setattr(loader, "_open", lambda _, mode: Path("/dev/full").open(mode))  # noqa: SIM115
    with pytest.raises(WeightsError, match="No space left on device; VIDCOLOR_CACHE") as caught:
        download(url, target)
    assert len(str(caught.value).splitlines()) == 1
    assert _nothing_installed(target)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a place where root cannot write")
def test_a_folder_that_cannot_be_written(url):
    for write in (lambda path: download(url, path), lambda path: alone(path).__enter__()):
        with pytest.raises(WeightsError, match=r"cannot write /sys/vidcolor.*VIDCOLOR_CACHE"):
            write(Path("/sys/vidcolor/net.pth"))


# --- several programs ---------------------------------------------------------------------------

_FETCH = """
import sys
import vidcolor.models.catalog as c
from vidcolor.models.store import fetch
file = c.WeightFile("net.pth", sys.argv[1], sys.argv[2])
c._KNOWN = (c.WeightsSpec("net", "backbone", "net", "MIT", "here", (file,)),)
print(fetch("net")[0])
"""


def _fetching(url, cache):
    return subprocess.Popen(
        [sys.executable, "-c", _FETCH, url, SHA],
        env={**os.environ, "VIDCOLOR_CACHE": str(cache), "TORCH_HOME": str(cache / "none")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_programs_fetch_once(url, manners, tmp_path):
    manners.stall_after, manners.stall_s, manners.stops = 100_000, 30.0, 1
    first = _fetching(url, tmp_path)
    _until(lambda: manners.asked)
    second = _fetching(url, tmp_path)
    try:
        second.wait(1.5)
    except subprocess.TimeoutExpired:
        pass  # it waits for the first
    else:
        pytest.fail(f"did not wait: {second.communicate()}")
    manners.gone.set()
    for program in (first, second):
        out, err = program.communicate(timeout=20)
        assert (program.returncode, out.strip()) == (0, str(tmp_path / "net.pth")), err
    assert manners.asked == [None]
    assert (tmp_path / "net.pth").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]


def test_a_program_that_was_killed_leaves_what_came_and_no_lock(url, manners, tmp_path):
    manners.stall_after, manners.stall_s, manners.stops = 100_000, 30.0, 1
    first = _fetching(url, tmp_path)
    part = tmp_path / "net.pth.part"
    _until(lambda: part.exists() and part.stat().st_size)
    first.kill()
    first.communicate(timeout=20)
    kept = part.stat().st_size
    second = _fetching(url, tmp_path)
    out, err = second.communicate(timeout=20)
    assert (second.returncode, out.strip()) == (0, str(tmp_path / "net.pth")), err
    assert manners.asked == [None, f"bytes={kept}-"]
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


def test_threads_wait_for_one_another(tmp_path, monkeypatch):
    monkeypatch.setattr(loader, "_POLL_S", 0.005)
    inside, most = [], []

    def work():
        for _ in range(5):
            with alone(tmp_path / "deep" / "lock"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 20
    assert max(most) == 1
    assert not (tmp_path / "deep" / "lock").exists()


def test_a_file_system_without_locks_is_told_of(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(loader.fcntl, "flock", refuse)
    with alone(tmp_path / "lock"):
        pass
    assert "cannot be locked" in caplog.text
    assert "No locks available" in caplog.text
