import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media import make_video
from small_site import Caller, next_event, small_server, small_site

from vidcolor.errors import ConfigError, MediaError
from vidcolor.preview.web.desk.changes import KINDS
from vidcolor.preview.web.server import connection
from vidcolor.preview.web.server import serve as module
from vidcolor.preview.web.server.serve import Server, open_site, serve
from vidcolor.preview.web.shots.cache import ViewCache


class Asked:
    """Somebody who wants the program to end after a while."""

    def __init__(self):
        self.event = threading.Event()

    def asked(self):
        return self.event.is_set()


@pytest.fixture
def taken():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def wait_for(true, seconds=5):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def answers(url):
    try:
        return Caller(url).get("/").status == 200
    except OSError:
        return False


def test_only_this_machine_is_served_unless_said_otherwise(tmp_path):
    with small_server(tmp_path / "films") as here:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", here.server.url)
        assert here.server.token is None
        # bound to the address, and not to all with a check behind
        for address in ("127.0.0.2", _outer_address()):
            if address is not None:
                with pytest.raises(OSError, match=r"refused|unreachable|timed out"):
                    socket.create_connection((address, here.server.port), 0.5)


def _outer_address():
    found = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    return next((address for address in found if not address.startswith("127.")), None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_all_addresses_need_a_token_which_is_made(tmp_path, host):
    if host == "::" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with small_server(tmp_path / "films", host=host) as here:
        assert here.server.made_token
        assert len(here.server.token) >= 20
        assert here.server.token in here.server.url
        call = Caller(f"http://127.0.0.1:{here.server.port}/" if host == "0.0.0.0"
                      else f"http://[::1]:{here.server.port}/")  # fmt: skip
        assert call.get("/api/state").status == 401
        cookie = call.get(f"/?token={here.server.token}").headers["set-cookie"].partition(";")[0]
        assert call.get("/api/state", Cookie=cookie).status == 200
        assert call.get("/api/state", Cookie=cookie, Host="10.1.2.3:80").status == 200
        assert call.get("/api/state", Cookie=cookie, Host="evil.example").status == 403
    with small_server(tmp_path / "films", host=host) as there:
        assert there.server.token != here.server.token


def test_a_token_that_is_given_counts_on_loopback_too(tmp_path):
    with small_server(tmp_path / "films", token="my own token") as here:
        assert here.call.get("/api/state").status == 401
        assert not here.server.made_token
    with pytest.raises(ConfigError, match="--token is too short"):
        Server(small_site(tmp_path / "films"), token="short")


def test_a_port_that_is_asked_for_and_taken_is_an_error(tmp_path, taken):
    with pytest.raises(ConfigError, match=f"--port {taken} is taken") as error:
        Server(small_site(tmp_path), port=taken)
    assert "\n" not in str(error.value)


def test_the_usual_port_gives_way(tmp_path, taken, monkeypatch, caplog):
    monkeypatch.setattr(module, "DEFAULT_PORT", taken)
    with (
        caplog.at_level(logging.INFO, logger="vidcolor"),
        small_server(tmp_path / "films", port=None) as here,
    ):
        assert here.server.port != taken
        assert here.call.get("/api/state").status == 200
    assert f"port {taken} is taken; using {here.server.port}" in caplog.text


def test_the_usual_port_is_taken_if_it_is_free(tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(module, "DEFAULT_PORT", port)
    # again at once, though the system remembers the connections of the first
    for _ in range(2):
        with small_server(tmp_path / "films", port=None) as here:
            assert here.server.port == port
            # who closes first is remembered: raw() waits until the server has
            line = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            assert b" 200 OK" in here.call.raw(line)


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("256.1.1.1", 0, "--host 256.1.1.1 is no address of this machine"),
        ("192.0.2.1", 0, "--host 192.0.2.1 is no address of this machine"),
        ("a" * 80, 0, "is no address of this machine"),
        ("127.0.0.1", 70000, "--port 70000 cannot be used"),
        ("127.0.0.1", -1, "--port -1 cannot be used"),
    ],
)
def test_addresses_that_cannot_be_bound(tmp_path, host, port, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        Server(small_site(tmp_path), host, port)


def test_it_ends_soon_with_everything_open(tmp_path, caplog):
    """Streams, jobs, half uploads, idle connections and answers under way end with the server."""
    stopped = threading.Event()

    def work(report):
        try:
            while True:
                report(1)
                time.sleep(0.01)
        finally:
            stopped.set()

    with small_server(tmp_path / "films") as here:
        here.call.post(f"/api/films/{here.film}/open")
        session = here.site.sessions[here.film]
        session.work = work
        here.call.post(f"/api/films/{here.film}/render")
        lines = [socket.create_connection((here.call.host, here.call.port)) for _ in range(5)]
        for line in lines[:2]:
            line.sendall(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head = "PUT /api/uploads?name=a.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vidcolor: 1\r\n"
        lines[2].sendall(head.encode() + b"Content-Length: 100000\r\n\r\nfilm")
        lines[3].sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        look = f"/api/films/{here.film}/shots/0/look.jpg?frame=7"
        lines[4].sendall(f"GET {look} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        wait_for(lambda: here.site.events.listening == 2)
        wait_for(lambda: list(here.folder.glob(".*")))
        wait_for(lambda: session.looking == 1)
        started = time.monotonic()
    assert time.monotonic() - started < 3
    assert stopped.is_set()
    assert not here.server.alive
    assert session.closed
    wait_for(lambda: not list(here.folder.glob(".*")), 1)
    session.release.set()
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []
    for line in lines:
        line.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((here.call.host, here.call.port))


def test_who_connects_and_asks_nothing_is_sent_away(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "_HEAD_S", 0.4)
    with small_server(tmp_path / "films") as here:
        place = here.call.host, here.call.port
        whole = b"GET /api/state HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        # nothing; a head that drips; half a head after a whole request
        for asked, first in ((b"", b""), (b"", b"GET /"), (whole, b"GET /")):
            with socket.create_connection(place, 5) as line:
                if asked:
                    line.sendall(asked)
                    assert line.recv(65536).startswith(b"HTTP/1.1 200")
                line.sendall(first)
                assert is_sent_away(line, first[-1:])
        # the body of what was refused at once
        refused = b"PUT /api/uploads?name=a HTTP/1.1\r\nHost: evil\r\nContent-Length: 99999\r\n\r\n"
        with socket.create_connection(place, 5) as line:
            line.sendall(refused)
            assert line.recv(65536).startswith(b"HTTP/1.1 403")
            assert is_sent_away(line, b"a")
        # who has asked may wait
        with here.call.listen() as stream:
            time.sleep(0.8)
            here.site.events.publish({"kind": "film", "film": "x", "revision": 1})
            assert next_event(stream)[1]["film"] == "x"


def test_who_takes_no_answer_is_sent_away(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "_STUCK_S", 0.4)
    with small_server(tmp_path / "films") as here:
        here.call.post(f"/api/films/{here.film}/open")
        with (here.folder / "clip.mp4").open("wb") as file:
            file.truncate(1 << 28)
        path = f"/api/films/{here.film}/shots/0/clip.mp4"
        with socket.create_connection((here.call.host, here.call.port), 5) as line:
            line.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            time.sleep(1.5)
            got = 0
            with contextlib.suppress(ConnectionError):
                while piece := line.recv(1 << 20):
                    got += len(piece)
            assert 0 < got < 1 << 28


def is_sent_away(line, drip, seconds=3):
    """Whether the server ends a connection on which a byte comes now and then."""
    line.settimeout(0.1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if line.recv(65536) == b"":
                return True
        except TimeoutError:
            line.sendall(drip)
        except ConnectionError:
            return True
    return False


def test_one_machine_far_away_does_not_get_all_connections(tmp_path, monkeypatch):
    """A second address of this machine stands for the other machine."""
    with small_server(tmp_path / "films") as here:
        place = here.call.host, here.call.port

        def far():
            try:
                return socket.create_connection(place, 5, source_address=("127.0.0.2", 0))
            except OSError:
                pytest.skip("this machine has no second address of its own")

        far().close()
        monkeypatch.setattr(connection, "_MOST_OF_ONE", 4)
        monkeypatch.setattr(connection, "_is_here", lambda address: address == "127.0.0.1")
        with contextlib.ExitStack() as lines:
            held = [lines.enter_context(far()) for _ in range(4)]
            assert is_sent_away(lines.enter_context(far()), b"", 2)
            assert not is_sent_away(held[0], b"", 0.3)
            for _ in range(8):
                lines.enter_context(socket.create_connection(place, 5))
            assert here.call.get("/api/state").status == 200
            held[0].close()
            time.sleep(0.1)
            assert not is_sent_away(lines.enter_context(far()), b"", 0.3)


@pytest.mark.parametrize("place", ["127.0.0.1", "127.0.1.1", "192.0.2.7"])
def test_a_name_needs_a_token_unless_it_leads_to_this_machine(tmp_path, monkeypatch, place):
    """What counts is where the socket listens, not what the name promises."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, 0))]
    bound = []

    def listen(family, address, port):
        bound.append(address)
        made = socket.socket()
        made.bind(("127.0.0.1", 0))
        return made

    monkeypatch.setattr(module.socket, "getaddrinfo", lambda *a, **k: found)
    monkeypatch.setattr(module, "_listen", listen)
    server = Server(small_site(tmp_path), "localhost")
    try:
        assert bound == [place]
        assert (server.token is not None) == (place == "192.0.2.7")
    finally:
        server.__exit__()


def test_a_server_that_was_not_started_lets_go_of_its_port(tmp_path):
    server = Server(small_site(tmp_path))
    server.__exit__()
    with Server(small_site(tmp_path), port=server.port) as again:
        assert Caller(again.url).get("/api/state").status == 200


# -- serve -----------------------------------------------------------------------------------------


def test_serve_says_where_the_page_is_and_ends_when_asked(tmp_path, caplog, monkeypatch):
    stop, opened, codes = Asked(), [], []
    monkeypatch.setattr(module.webbrowser, "open", opened.append)
    monkeypatch.setattr(module, "_has_screen", lambda: True)
    films = tmp_path / "films"
    films.mkdir()
    (films / "a.mkv").write_bytes(b"no film, but nobody has opened it yet")

    def run():
        codes.append(serve([films], folder=tmp_path / "uploads", port=0, stop=stop))

    with caplog.at_level(logging.INFO, logger="vidcolor"):
        thread = threading.Thread(target=run)
        thread.start()
        wait_for(lambda: "the page is at" in caplog.text)
        url = re.search(r"the page is at (http://\S+)", caplog.text)[1]
        state = Caller(url).get("/api/state").json
        assert [film["name"] for film in state["films"]] == ["a.mkv"]
        wait_for(lambda: opened)
        answer = Caller(url).post(f"/api/films/{state['films'][0]['id']}/open")
        assert answer.status == 400
        assert answer.json["error"].startswith("a.mkv")
        assert str(tmp_path) not in answer.json["error"]
        stop.event.set()
        thread.join(4)
    assert (codes, opened) == ([0], [url])
    assert caplog.text.count("http://") == 1


def test_serve_opens_no_browser_where_it_should_not(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(module.webbrowser, "open", opened.append)
    stop = Asked()
    stop.event.set()
    assert serve([], folder=tmp_path, port=0, browser=False, stop=stop) == 0
    monkeypatch.setattr(module, "_has_screen", lambda: False)
    assert serve([], folder=tmp_path, port=0, stop=stop) == 0
    time.sleep(0.1)
    assert opened == []


def test_a_film_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(MediaError, match="no such file"):
        serve([tmp_path / "nothing.mkv"], folder=tmp_path, port=0)


def test_settings_that_are_none_are_found_before_the_server_runs(tmp_path):
    with pytest.raises(ConfigError, match="stabilize"):
        serve([], [{"stabilize": {"tao": 1}}], folder=tmp_path, port=0)


def test_nothing_of_the_server_is_imported_for_help():
    code = (
        "import sys, vidcolor.cli\n"
        "sys.exit(any(n in sys.modules for n in ('starlette', 'uvicorn', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_signal_that_ends_the_program_ends_the_server_first(tmp_path, caplog):
    class Signal:
        def asked(self):
            raise SystemExit(143)

    with caplog.at_level(logging.INFO, logger="vidcolor"), pytest.raises(SystemExit, match="143"):
        serve([], folder=tmp_path, port=0, browser=False, stop=Signal())
    port = int(re.search(r"http://127\.0\.0\.1:(\d+)", caplog.text)[1])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.skipif(sys.platform == "win32", reason="no signals like these")
def test_ctrl_c_ends_the_program(tmp_path):
    code = (
        "import sys\nfrom vidcolor.cli import main\n"
        f"sys.exit(main(['preview', '--serve', '--port', '0', '--no-browser', "
        f"'--folder', {str(tmp_path / 'uploads')!r}]))"
    )
    environment = {**os.environ, "VIDCOLOR_CACHE": str(tmp_path / "cache")}
    with subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env=environment
    ) as program:
        url = re.search(r"http://\S+", program.stderr.readline())[0]
        assert Caller(url).get("/api/state").status == 200
        program.send_signal(signal.SIGINT)
        wait_for(lambda: not answers(url), 3)
        rest = program.communicate(timeout=20)[1]
    assert (program.returncode, rest) == (0, "")


# -- with real films -------------------------------------------------------------------------------


def test_from_upload_to_download(tmp_path):
    """The same way as a browser goes, with all real parts; color comes from the whole picture."""
    film = make_video(tmp_path / "a.mkv", frames=10, size=(48, 64))
    flags = {"detect": {"detector": "none"}}
    site = open_site([], [{}, {}, flags], tmp_path / "uploads", cache=ViewCache(tmp_path / "cache"))
    with Server(site) as server:
        call = Caller(server.url)
        sent = call.ask(
            "PUT", "/api/uploads?name=..%2F..%2FMy%20f%C3%AFlm.mkv", film.path.read_bytes()
        )
        here = f"/api/films/{sent.json['id']}"
        assert sent.status == 201
        assert call.get("/api/state").json["films"][0]["name"] == "My fïlm.mkv"
        garbage = call.ask("PUT", "/api/uploads?name=b.mkv", b"\0garbage" * 100)
        assert (garbage.status, garbage.json["error"][:6]) == (400, "b.mkv:")

        with call.listen() as stream:
            assert call.post(f"{here}/open").status == 200
            wait_for(lambda: call.get(here).json["ready"], 20)
            assert next_event(stream)[1]["kind"] in ("job", "film")
        state = call.get(here).json
        assert [(shot["start"], shot["end"]) for shot in state["shots"]] == [(0, 9)]
        assert state["settings"] == {"detect.detector": "none"}

        hint = {"do": "add_hint", "shot": 0, "frame": 3, "points": [0.5, 0.5], "color": "#aa3322"}
        edits = {"revision": state["revision"], "edits": [hint]}
        told = call.post(f"{here}/edits", edits)
        assert told.json["revision"] > state["revision"]
        assert call.get(here).json["hints"][0]["hex"] == "#aa3322"
        script = call.get(f"{here}/script")
        assert script.body == (tmp_path / "uploads/My fïlm.mkv/My fïlm.vidcolor").read_bytes()
        assert b"#aa3322" in script.body
        bad = call.post(f"{here}/edits", {"edits": [{**hint, "shot": 7}]})
        assert (bad.status, "shot" in bad.json["error"]) == (400, True)

        wait_for(lambda: call.get(here).json["shots"][0]["key"], 10)
        job = call.post(f"{here}/shots/0/preview").json["job"]
        wait_for(lambda: call.get(here).json["shots"][0]["state"] == "ready", 30)
        key = call.get(here).json["shots"][0]["key"]
        clip = call.get(f"{here}/shots/0/clip.mp4?key={key}", Range="bytes=4-7")
        assert (clip.status, clip.body) == (206, b"ftyp")
        frame = call.get(f"{here}/shots/0/frames/3.png?side=after&key={key}")
        assert frame.body[:8] == b"\x89PNG\r\n\x1a\n"
        assert job["id"] in [job["id"] for job in call.get(here).json["jobs"]]

        call.post(f"{here}/render", {"name": "out.mkv"})
        wait_for(lambda: call.get(here).json["output"]["exists"], 30)
        out = call.get(f"{here}/output")
        assert out.body == (tmp_path / "uploads/My fïlm.mkv/out.mkv").read_bytes()
        wrong = call.post(f"{here}/render", {"name": "../out.mkv"})
        assert (wrong.status, "error" in wrong.json) == (400, True)


def test_bodies_that_hypothesis_makes_meet_the_real_script(tmp_path):
    film = make_video(tmp_path / "a.mkv", frames=4, size=(48, 64))
    flags = {"detect": {"detector": "none"}}
    site = open_site([film.path], [{}, {}, flags], tmp_path, cache=ViewCache(tmp_path / "cache"))
    numbers = st.sampled_from([0, 1, -1, 0.5, 1e300, 10**9, 2**60, True, None, "0", [], {}])
    words = st.sampled_from(
        ["shot", "frame", "points", "region", "color", "track", "tracks", "radius", "reach", "id",
         "key", "value", "field", "use", "text", "name", "colorizer", "weights", "whole", "x"]
    )  # fmt: skip
    value = (
        numbers
        | st.lists(numbers, max_size=4)
        | st.sampled_from(["#aabbcc", "auto", "none", "stabilize.tau", "grade.tint", "ü\n", "/etc"])
        | st.text(max_size=4)
    )
    edit = st.builds(
        lambda do, rest: {"do": do, **rest},
        st.sampled_from([*KINDS, "x"]),
        st.dictionaries(words, value, max_size=5),
    )
    with Server(site) as server:
        call = Caller(server.url)
        here = f"/api/films/{call.get('/api/state').json['films'][0]['id']}"
        call.post(f"{here}/open")
        wait_for(lambda: call.get(here).json["ready"], 20)

        @given(edits=st.lists(edit, max_size=2))
        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        def check(edits):
            answer = call.post(f"{here}/edits", {"edits": edits})
            assert answer.status in (200, 400), (answer.status, answer.body)
            assert str(tmp_path) not in answer.body.decode()

        check()
        assert call.get(here).status == 200
