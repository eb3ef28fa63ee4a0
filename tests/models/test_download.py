"""Downloads against a server on this machine that misbehaves in known ways."""

import hashlib
import http.server
import threading
from dataclasses import dataclass, field

import pytest

from vidcolor.errors import WeightsError
from vidcolor.models.download import download, file_sha256

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
    length: bool = True
    asked: list[str | None] = field(default_factory=list)


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        m = self.server.manners
        m.asked.append(self.headers.get("Range"))
        if m.status != 200:
            self.send_error(m.status)
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
        if m.length:
            self.send_header("Content-Length", str(len(body) + m.claim_more))
        self.end_headers()
        if m.stop_after is not None and m.stops > 0:
            m.stops -= 1
            body = body[: m.stop_after]
        self.wfile.write(body)


@pytest.fixture
def manners():
    return Manners()


@pytest.fixture
def url(manners, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.manners = manners
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/net.pth"
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


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (403, "403"), (503, "503")])
def test_refusals(status, words, url, manners, target):
    manners.status = status
    with pytest.raises(WeightsError, match=words) as caught:
        download(url, target)
    assert len(str(caught.value).splitlines()) == 1
    assert len(manners.asked) == 1
    assert _nothing_installed(target)


def test_offline_is_one_line(target, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1 does not answer .*offline\?") as caught:
        download("http://127.0.0.1:9/net.pth", target)
    assert len(str(caught.value).splitlines()) == 1
    assert _nothing_installed(target)


def test_a_proxy_of_the_environment_is_used(url, manners, target, monkeypatch):
    monkeypatch.setenv("http_proxy", url.removesuffix("/net.pth"))
    download("http://nowhere.invalid/net.pth", target, sha256=SHA)
    assert len(manners.asked) == 1


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


def test_full_disk(url, target, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def write(self, _):
            raise OSError(28, "No space left on device")

    from pathlib import Path

    real = Path.open

    def open_(path, mode="r", *args, **kwargs):
        return Full() if mode in ("ab", "wb") else real(path, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_)
    with pytest.raises(WeightsError, match="No space left on device"):
        download(url, target)
    assert _nothing_installed(target)
