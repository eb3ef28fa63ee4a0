import contextlib
import errno
import json
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_site import CLIP, JPEG, SmallFilm, next_event, small_server

from vidcolor.errors import ConfigError, MediaError
from vidcolor.preview.web.server import bodies
from vidcolor.preview.web.server.answers import disposition, plain, sentence
from vidcolor.preview.web.server.page_files import page_files


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with small_server(tmp_path_factory.mktemp("app films") / "my films") as server:
        server.call.post(f"/api/films/{server.film}/open")
        yield server


@pytest.fixture
def film(here):
    return f"/api/films/{here.film}"


# -- the page --------------------------------------------------------------------------------------


def test_the_page_and_all_its_files_are_there(here):
    table = page_files()
    assert "index.html" in table
    for name, file in table.items():
        answer = here.call.get(f"/page/{name}")
        assert (answer.status, answer.body) == (200, file.data)
    assert here.call.get("/").body == table["index.html"].data
    assert here.call.get("/").headers["content-type"] == "text/html; charset=utf-8"
    scripts = [name for name in table if name.endswith(".js")]
    for name in scripts:
        assert here.call.get(f"/page/{name}").headers["content-type"].startswith("text/javascript")


def test_the_page_is_asked_for_again_but_not_sent_again(here):
    first = here.call.get("/")
    assert first.headers["cache-control"] == "no-cache"
    again = here.call.get("/", **{"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_only_files_of_known_kinds_directly_in_the_folder_are_served(tmp_path, monkeypatch):
    folder = tmp_path / "pages_of_a_test" / "page"
    (folder / "more.js").mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    for name in ("a.js", "a.py", ".hidden.js", "a.js.map", "a", "more.js/b.js", "c.css~"):
        (folder / name).write_text(name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="install it again"):
        page_files("pages_of_a_test")
    (folder / "index.html").write_text("ä", encoding="utf-8")
    assert {name: file.data for name, file in page_files("pages_of_a_test").items()} == {
        "a.js": b"a.js",
        "index.html": "ä".encode(),
    }


# -- films -----------------------------------------------------------------------------------------


def test_the_state_lists_films_without_their_folders(here):
    answer = here.call.get("/api/state")
    assert answer.headers["content-type"] == "application/json"
    (film,) = answer.json["films"][:1]
    assert film == {"id": here.film, "name": "film.mkv", "uploaded": False, "open": True}
    assert answer.json["limits"] == {"upload_bytes": 1 << 20, "picture_bytes": 1 << 16}
    assert str(here.folder) not in answer.body.decode()


def test_a_film_is_opened_once(tmp_path):
    with small_server(tmp_path / "films", names=("a.mkv", "b.mkv")) as server:
        path = f"/api/films/{server.film}"
        # a page that was open before the server was started again opens its film again at a 404
        answer = server.call.get(path)
        assert (answer.status, "open it" in answer.json["error"]) == (404, True)
        with ThreadPoolExecutor(8) as pool:
            opened = list(pool.map(lambda _: server.call.post(f"{path}/open").status, range(8)))
        assert opened == [200] * 8
        assert len(server.site.sessions) == 1
        assert server.call.get(path).json["id"] == server.film
        assert [film["open"] for film in server.call.get("/api/state").json["films"]] == [
            True,
            False,
        ]
        session = server.site.sessions[server.film]
    assert session.closed


def test_a_film_that_cannot_be_opened_is_not_open(tmp_path, monkeypatch):
    def refuse(self):
        raise MediaError(f"{self.entry.path}: is damaged; choose another")

    with small_server(tmp_path / "films") as server:
        path = f"/api/films/{server.film}"
        with monkeypatch.context() as patch:
            patch.setattr(SmallFilm, "open", refuse)
            answer = server.call.post(f"{path}/open")
        assert (answer.status, answer.json["error"]) == (
            400,
            "film.mkv: is damaged; choose another",
        )
        assert server.site.sessions[server.film].closed
        assert not server.call.get("/api/state").json["films"][0]["open"]
        assert server.call.get(path).status == 404
        # mended meanwhile
        assert server.call.post(f"{path}/open").status == 200
        # and broken again: whoever has it open goes on
        monkeypatch.setattr(SmallFilm, "open", refuse)
        assert server.call.post(f"{path}/open").status == 200
        assert not server.site.sessions[server.film].closed


def test_unknown_films_shots_and_jobs_are_sentences(here, film):
    for method, path, status in (
        ("GET", "/api/films/ffff", 404),
        ("POST", "/api/films/ffff/open", 404),
        ("POST", f"{film}/shots/99/preview", 400),
        ("DELETE", "/api/jobs/ffff", 404),
        ("GET", f"{film}/shots/0/nothing.jpg", 404),
        ("GET", "/api/nothing", 404),
        ("GET", f"{film}/undo", 405),
        ("POST", "/", 405),
        ("PATCH", film, 405),
    ):
        answer = here.call.ask(method, path)
        assert answer.status == status, path
        assert set(answer.json) == {"error"}
        assert len(answer.json["error"]) > 15


def test_edits_reach_the_script(here, film):
    revision = here.call.get(film).json["revision"]
    body = {"revision": revision, "edits": [{"do": "note", "text": "Ä 映画"}]}
    assert here.call.post(f"{film}/edits", body).json == {"revision": revision + 1}
    assert here.site.sessions[here.film].edits[-1] == {"do": "note", "text": "Ä 映画"}
    late = here.call.post(f"{film}/edits", body)
    assert (late.status, "faster" in late.json["error"]) == (400, True)
    assert here.call.post(f"{film}/undo").json == {"revision": revision + 2}
    assert here.call.post(f"{film}/redo").json == {"revision": revision + 3}


@pytest.mark.parametrize(
    "body",
    [
        "", "[]", "1", '"a"', "{", "{} {}", '{"edits": 1}', '{"edits": [1]}', '{"edits": [[]]}',
        '{"edits": [{"do": "note", "x": NaN}]}', '{"edits": [{"do": "note", "x": 1e999}]}',
        '{"edits": [{"do": "note", "x": ' + "9" * 400 + "}]}",
        '{"edits": [{"do": "note", "x": ' + "9" * 5000 + "}]}",
        '{"edits": [{"do": "note", "x": "\\ud800"}]}', '{"edits": [{"do": "note", "\\u0000": 1}]}',
        '{"edits": [{"do": "note", "x": ' + "[" * 20 + "]" * 20 + "}]}",
        "[" * 100000, '{"a":' * 50000, b"\xff\xfe\x00", b"\x80",
        json.dumps({"edits": [{"do": "note"}] * 2000}),
    ],
    ids=lambda body: repr(body)[:40],
)  # fmt: skip
def test_bodies_that_are_no_edits_are_refused(here, film, body):
    before = here.site.sessions[here.film].revision
    answer = here.call.post(f"{film}/edits", body)
    assert answer.status == 400
    assert "Error" not in answer.json["error"]
    assert here.site.sessions[here.film].revision == before


@pytest.mark.parametrize("revision", ["1", True, 1.5, [], {}])
def test_revisions_are_whole_numbers(here, film, revision):
    answer = here.call.post(f"{film}/edits", {"edits": [{"do": "note"}], "revision": revision})
    assert (answer.status, "whole number" in answer.json["error"]) == (400, True)


def test_numbers_and_depths_that_people_use_pass():
    deep = {"edits": [{"points": [[0.5, 1e-3]], "revision": 1763770000000}]}
    assert bodies.checked_json(json.dumps(deep).encode()) == deep


def test_errors_name_files_but_no_folders(here, film):
    answer = here.call.post(f"{film}/edits", {"edits": [{"do": "fly"}]})
    assert answer.status == 400
    assert answer.json["error"] == "film.vidcolor: 'fly' is no edit"


def test_a_fault_is_logged_and_not_told(here, film, caplog):
    with caplog.at_level(logging.ERROR):
        answer = here.call.post(f"{film}/edits", {"edits": [{"do": "stumble"}]})
    assert answer.status == 500
    assert answer.json == {"error": "a fault of vidcolor; its log has the details"}
    wait_for(lambda: "ZeroDivisionError" in caplog.text)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert here.call.get(film).status == 200


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (errno.ENOSPC, 507, "the disk is full"),
        (errno.EACCES, 409, "film.mkv: cannot be written"),
        (errno.EIO, 500, "a fault of vidcolor"),
    ],
)
def test_disks_that_fail(here, film, number, status, said):
    answer = here.call.post(f"{film}/edits", {"edits": [{"do": "fail", "number": number}]})
    assert (answer.status, answer.json["error"][: len(said)]) == (status, said)


def test_jobs_run_are_told_of_and_canceled(here, film):
    running = threading.Event()

    def work(report):
        running.set()
        for _ in range(500):
            report(1)
            time.sleep(0.01)
        raise AssertionError("it was not canceled")

    here.site.sessions[here.film].work = work
    with here.call.listen() as stream:
        job = here.call.post(f"{film}/shots/1/preview").json["job"]
        assert (job["kind"], job["shot"]) == ("preview", 1)
        assert running.wait(5)
        assert here.call.ask("DELETE", f"/api/jobs/{job['id']}").json == {}
        states = []
        while "canceled" not in states:
            event = next_event(stream)[1]
            assert (event["kind"], event["what"], event["id"]) == ("job", "preview", job["id"])
            states.append(event["state"])
    assert here.call.get(film).json["jobs"][-1]["state"] == "canceled"
    here.site.sessions[here.film].work = None


def test_messages_of_failed_jobs_name_no_folders(here, film):
    def work(report):
        raise MediaError(f"{here.folder / 'film.mkv'}: is damaged; send another")

    here.site.sessions[here.film].work = work
    with here.call.listen() as stream:
        here.call.post(f"{film}/tracks")
        while (event := next_event(stream)[1])["state"] != "failed":
            pass
    here.site.sessions[here.film].work = None
    assert event["message"] == "film.mkv: is damaged; send another"
    assert here.call.get(film).json["jobs"][-1]["message"] == event["message"]


@pytest.mark.parametrize(
    "body",
    [{"name": 1}, {"name": ""}, {"name": "../x.mkv"}, {"overwrite": "yes"}, {"name": "ü" * 150}],
)
def test_names_of_renders_are_checked(here, film, body):
    assert here.call.post(f"{film}/render", body).status == 400


def test_a_render_needs_no_body(here, film):
    for body in (None, {}, {"name": "out.mkv", "overwrite": True}):
        assert here.call.post(f"{film}/render", body).json["job"]["kind"] == "render"


# -- pictures and files ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("thumb.jpg?side=after&v=2", "thumb after 0 0"),
        ("thumb.jpg", "thumb before 0 0"),
        ("look.jpg?frame=3&v=a-1", "look 0 3"),
        ("frames/2.jpg?side=before", "frame before 0 2"),
        ("frames/2.jpg?side=after&key=abc", "frame after 0 2"),
        ("frames/2.png?side=after&key=", "full after 0 2"),
        ("sure/1.png?key=abc", "sure 0 1"),
        ("damage/1.png", "damage 0 1"),
    ],
)
def test_pictures(here, film, path, what):
    answer = here.call.get(f"{film}/shots/0/{path}")
    assert answer.body == JPEG + what.encode()
    kind = "image/png" if ".png" in path else "image/jpeg"
    assert answer.headers["content-type"] == kind
    kept = "key=abc" in path
    assert ("immutable" in answer.headers["cache-control"]) == kept
    tag = answer.headers["etag"]
    again = here.call.get(f"{film}/shots/0/{path}", **{"If-None-Match": f'"x", {tag}'})
    assert again.status == (304 if f'"x", {tag}' == tag else again.status)
    assert here.call.get(f"{film}/shots/0/{path}", **{"If-None-Match": tag}).status == 304
    assert here.call.get(f"{film}/shots/0/{path}", **{"If-None-Match": '"x"'}).status == 200


def test_a_look_says_that_it_is_not_exact(here, film):
    assert here.call.get(f"{film}/shots/0/look.jpg?frame=0").headers["x-vidcolor-exact"] == "0"


def test_what_was_there_before_has_no_key(here, film):
    answer = here.call.get(f"{film}/shots/0/frames/0.jpg?side=before&key=abf")
    assert (answer.status, answer.headers["cache-control"]) == (200, "private, no-cache")


def test_what_is_not_made_is_not_kept_by_browsers(here, film):
    answer = here.call.get(f"{film}/shots/0/frames/0.jpg?side=after&key=abf")
    # not an error: it may have gone between the page's hearing of it and its asking
    assert (answer.status, answer.headers["cache-control"], answer.body) == (204, "no-store", b"")


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("bytes=0-", 0, 10239), ("bytes=100-199", 100, 199), ("bytes=-300", 9940, 10239),
     ("bytes=10000-99999", 10000, 10239), ("bytes=0-0", 0, 0)],
)  # fmt: skip
def test_clips_are_read_in_ranges(here, film, wanted, first, last):
    answer = here.call.get(f"{film}/shots/0/clip.mp4?key=abc", Range=wanted)
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/10240"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert answer.headers["content-type"] == "video/mp4"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.body == CLIP[first : last + 1]


def test_ranges_that_are_none(here, film):
    path = f"{film}/shots/0/clip.mp4"
    whole = here.call.get(path)
    assert (whole.status, whole.headers["accept-ranges"], whole.body) == (200, "bytes", CLIP)
    for wanted in ("bytes=a-b", "lines=0-5", "bytes=", "bytes=-", "bytes=0-1,5-6", "0-5", "\xb2"):
        assert here.call.get(path, Range=wanted).body == CLIP
    past = here.call.get(path, Range="bytes=10240-")
    assert (past.status, past.headers["content-range"]) == (416, "bytes */10240")
    other = here.call.get(path, Range="bytes=0-5", **{"If-Range": '"another"'})
    assert other.status == 200
    same = here.call.get(path, Range="bytes=0-5", **{"If-Range": whole.headers["etag"]})
    assert same.status == 206
    head = here.call.ask("HEAD", path)
    assert (head.headers["content-length"], head.body) == ("10240", b"")


def test_downloads_have_any_name(here, film):
    gone = here.call.get(f"{film}/output")
    assert (gone.status, "again" in gone.json["error"]) == (404, True)
    here.site.sessions[here.film].output().write_bytes(b"film")
    answer = here.call.get(f"{film}/output")
    assert answer.body == b"film"
    assert answer.headers["content-type"] == "video/x-matroska"
    said = answer.headers["content-disposition"]
    assert "attachment" in said
    assert "filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%E6%98%A0%E7%94%BB%20%22a%22.mkv" in said
    script = here.call.get(f"{film}/script")
    assert script.body == b"version = 1\n"
    assert 'filename="film.vidcolor"' in script.headers["content-disposition"]


def test_names_of_downloads_break_no_header():
    for name in ('a"b.mkv', "a\r\nSet-Cookie: x", "\udcff.mkv", "a/b\\c", "", "\x00", "%41.mkv"):
        said = disposition(name)
        assert said.isascii()
        assert not set(said) & set("\r\n\x00/\\")
        assert said.count('"') == 2


# -- what is sent ----------------------------------------------------------------------------------


def test_a_film_is_received_whole(here):
    data = b"film" + bytes(range(256)) * 1000
    answer = here.call.ask("PUT", "/api/uploads?name=%E6%98%A0%20a.mp4", data)
    assert answer.status == 201
    entry = here.site.library.find(answer.json["id"])
    assert (entry.name, entry.uploaded) == ("映 a.mp4", True)
    assert (here.folder / f"{entry.id}.film").read_bytes() == data


def test_what_is_no_film_is_refused_and_leaves_nothing(here):
    answer = here.call.ask("PUT", "/api/uploads?name=a.mp4", b"garbage")
    assert (answer.status, answer.json["error"]) == (400, "a.mp4: is no video; send another file")
    assert not list(here.folder.glob(".*"))


@pytest.mark.parametrize("query", ["", "?name=", "?name=%20", "?named=a", "?name=a&name=b",
                                   "?name=a%00b", "?name=" + "a" * 300])  # fmt: skip
def test_uploads_need_a_name(here, query):
    assert here.call.ask("PUT", f"/api/uploads{query}", b"film").status == 400


def test_uploads_that_are_too_large_are_refused(here):
    said = {"X-Vidcolor": "1", "Host": "127.0.0.1"}
    head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    for length in (f"Content-Length: {(1 << 20) + 1}\r\n", f"Content-Length: {10**18}\r\n"):
        line = f"PUT /api/uploads?name=a.mp4 HTTP/1.1\r\nConnection: close\r\n{head}{length}\r\n"
        got = here.call.raw(line.encode())
        assert got.startswith(b"HTTP/1.1 413")
        assert b"larger than 1 MB" in got
    # a sender who does not say how much comes
    chunk = b"10000\r\n" + b"film" * 0x4000 + b"\r\n"
    line = f"PUT /api/uploads?name=a.mp4 HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((here.call.host, here.call.port), 5) as sender:
        sender.sendall(line.encode() + chunk * 17 + b"0\r\n\r\n")
        assert sender.recv(65536).startswith(b"HTTP/1.1 413")
    assert not list(here.folder.glob(".*"))
    small = here.call.post(f"/api/films/{here.film}/edits", "{" + " " * (1 << 20) + "}")
    assert small.status == 413
    assert (
        here.call.ask("PUT", f"/api/films/{here.film}/references?name=a", b"a" * 70000).status
        == 413
    )


def test_half_an_upload_leaves_nothing(here):
    head = "PUT /api/uploads?name=half.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vidcolor: 1\r\n"
    here.site.library.broken = None
    films = len(here.site.library.films())
    with socket.create_connection((here.call.host, here.call.port), 5) as sender:
        sender.sendall(head.encode() + b"Content-Length: 100000\r\n\r\nfilm" + b"a" * 50000)
        wait_for(lambda: any(path.stat().st_size > 40000 for path in here.folder.glob(".*")))
    wait_for(lambda: here.site.library.broken is not None)
    wait_for(lambda: not list(here.folder.glob(".*")))
    assert len(here.site.library.films()) == films


def test_an_upload_that_stops_coming_is_given_up(here, monkeypatch):
    monkeypatch.setattr(bodies, "_STALL_S", 0.3)
    head = "PUT /api/uploads?name=half.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vidcolor: 1\r\n"
    with socket.create_connection((here.call.host, here.call.port), 5) as sender:
        sender.sendall(head.encode() + b"Content-Length: 100000\r\n\r\nfilm")
        assert sender.recv(65536).startswith(b"HTTP/1.1 408")
    wait_for(lambda: not list(here.folder.glob(".*")))


def test_an_upload_that_only_drips_is_given_up(here, monkeypatch):
    monkeypatch.setattr(bodies, "_STALL_S", 0.4)
    head = "PUT /api/uploads?name=half.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vidcolor: 1\r\n"
    with socket.create_connection((here.call.host, here.call.port), 5) as sender:
        sender.sendall(head.encode() + b"Content-Length: 100000\r\n\r\nfilm")
        sender.settimeout(0.05)
        end, got = time.monotonic() + 4, b""
        while not got and time.monotonic() < end:
            sender.sendall(b"a")
            with contextlib.suppress(TimeoutError):
                got = sender.recv(65536)
        assert got.startswith(b"HTTP/1.1 408")
    wait_for(lambda: not list(here.folder.glob(".*")))


def test_uploads_leave_threads_for_others(here):
    """Each upload holds a thread; all of them at once would leave none to answer with."""
    head = b"PUT /api/uploads?name=a.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vidcolor: 1\r\n"
    with contextlib.ExitStack() as open_ones:
        senders = []
        for _ in range(45):
            line = socket.create_connection((here.call.host, here.call.port), 5)
            senders.append(open_ones.enter_context(line))
            line.sendall(head + b"Content-Length: 100000\r\n\r\nfilm")
        refused = senders[8:]
        for line in refused:
            assert line.recv(65536).startswith(b"HTTP/1.1 503")
        assert here.call.ask("GET", "/api/state", timeout=3).status == 200
        picture = here.call.ask("PUT", f"/api/films/{here.film}/references?name=a.png", b"picture")
        assert (picture.status, "at once" in picture.json["error"]) == (503, True)
    wait_for(lambda: not list(here.folder.glob(".*")))
    assert here.call.ask("PUT", "/api/uploads?name=a.mp4", b"film").status == 201


def test_an_upload_waits_for_a_slow_disk(here):
    """What is sent is read as fast as it is written: memory does not fill."""
    taken, go = [], threading.Event()

    def slow(name, chunks):
        for chunk in chunks:
            taken.append(len(chunk))
            assert go.wait(20)
        raise MediaError("enough")

    receive, here.site.library.receive = here.site.library.receive, slow
    limits = here.site.limits
    object.__setattr__(limits, "upload_bytes", 1 << 30)
    head = "PUT /api/uploads?name=a.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vidcolor: 1\r\n"
    try:
        with socket.create_connection((here.call.host, here.call.port), 20) as sender:
            sender.sendall(head.encode() + b"Content-Length: 67108864\r\n\r\n")
            sender.settimeout(0.7)
            sent = send_until_it_blocks(sender, 1 << 26)
            # the rest lies in the sockets of the system
            assert sum(taken) <= 1 << 18
            assert sent < 1 << 25
            go.set()
    finally:
        here.site.library.receive = receive
        object.__setattr__(limits, "upload_bytes", 1 << 20)


def send_until_it_blocks(sender, most):
    sent = 0
    while sent < most:
        try:
            sent += sender.send(b"a" * 65536)
        except TimeoutError:
            return sent
    raise AssertionError("all of it was taken")


def test_reference_pictures(here, film):
    answer = here.call.ask("PUT", f"{film}/references?name=a.jpg&shot=1&frame=2", b"picture!")
    assert answer.status == 201
    session = here.site.sessions[here.film]
    assert answer.json == {"revision": session.revision}
    assert session.edits[-1] == ("film.references/8.png", 1, 2)
    for query, data in (("name=a.jpg", b"no"), ("name=a.jpg", b""), ("name=a.jpg&shot=-1", b"p"),
                        ("shot=1", b"picture"), ("name=a.jpg&shot=9", b"picture")):  # fmt: skip
        assert here.call.ask("PUT", f"{film}/references?{query}", data).status == 400


# -- long work does not block ----------------------------------------------------------------------


def test_looks_that_take_long_leave_room_for_the_rest(here, film):
    session = here.site.sessions[here.film]
    session.release.clear()
    session.most_looking = 0
    with ThreadPoolExecutor(12) as pool:
        looks = [pool.submit(here.call.get, f"{film}/shots/0/look.jpg?frame=7") for _ in range(12)]
        wait_for(lambda: session.looking == 3)
        assert here.call.get(film).status == 200
        assert here.call.get("/api/state").status == 200
        session.release.set()
        assert [look.result().status for look in looks] == [200] * 12
    assert session.most_looking == 3


def test_looks_that_nobody_waits_for_are_not_made(here, film):
    session = here.site.sessions[here.film]
    session.release.clear()
    with ThreadPoolExecutor(3) as pool:
        looks = [pool.submit(here.call.get, f"{film}/shots/0/look.jpg?frame=7") for _ in range(3)]
        wait_for(lambda: session.looking == 3)
        made, session.most_looking = [], 0
        look = session.look
        session.look = lambda shot, frame: made.append(frame) or look(shot, frame)
        lines = [socket.create_connection((here.call.host, here.call.port)) for _ in range(5)]
        for line in lines:
            line.sendall(
                f"GET {film}/shots/0/look.jpg?frame=5 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
            )
        time.sleep(0.2)
        for line in lines:
            line.close()
        time.sleep(0.2)
        session.release.set()
        assert [look.result().status for look in looks] == [200] * 3
        assert here.call.get(f"{film}/shots/0/look.jpg?frame=6").status == 200
    assert made == [6]
    session.look = look


# -- fuzzing ---------------------------------------------------------------------------------------

names = st.sampled_from(
    ["do", "shot", "frame", "points", "color", "track", "revision", "edits", ""]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
bodies_of_edits = st.fixed_dictionaries({"edits": st.lists(values, max_size=3) | values}) | values


@given(
    body=bodies_of_edits | st.binary(max_size=30),
    path=st.sampled_from(
        ["edits", "render", "undo", "redo", "tracks", "open", "shots/0/preview", "shots/1/damage"]
    ),
)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_body_is_a_fault(here, path, body):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = here.call.post(f"/api/films/{here.film}/{path}", data)
    assert answer.status in (200, 400, 404), answer.body
    assert isinstance(answer.json, dict)


words = st.lists(
    st.tuples(
        st.sampled_from(["side", "key", "v", "frame", "name", "shot", "a"]),
        st.sampled_from(["before", "after", "abc", "1", "0", "", "99", "%00", "..%2f", "%ff"])
        | st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=5),
    ),
    max_size=3,
)


@given(
    words=words,
    shot=st.sampled_from(["0", "2", "3", "00", "a", "999999999", "9999999999"]),
    what=st.sampled_from(
        [
            "thumb.jpg",
            "look.jpg",
            "clip.mp4",
            "overlay.json",
            "frames/0.jpg",
            "frames/7.png",
            "frames/8.png",
            "sure/0.png",
            "damage/1.png",
        ]
    ),
)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_address_is_a_fault(here, words, shot, what):
    here.site.sessions[here.film].release.set()
    query = "&".join(f"{name}={value}" for name, value in words)
    answer = here.call.get(f"/api/films/{here.film}/shots/{shot}/{what}?{query}")
    assert answer.status in (200, 204, 400, 404), answer.body
    if answer.status == 204:  # a picture that is not there
        assert answer.body == b""
    else:
        assert answer.status == 200 or set(answer.json) == {"error"}


# -- sentences -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/home/me/a.mkv: is no video", "a.mkv: is no video"),
        ("cannot read '/home/me/x/a.mkv'", "cannot read 'a.mkv'"),
        ("C:\\Users\\me\\a.mkv: is gone", "a.mkv: is gone"),
        ("\\\\server\\share\\a.mkv: is gone", "a.mkv: is gone"),
        ("~/.cache/vidcolor/x.pt is damaged.", "x.pt is damaged."),
        ("there is no folder /home/me/", "there is no folder me"),
        ("(/srv/a/b), and /srv/c", "(b), and c"),
        ("1/25 is no rate; write 24000/1001", "1/25 is no rate; write 24000/1001"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
        ("before/after, and / or", "before/after, and / or"),
        ("a\nb", "a b"),
    ],
)
def test_sentences_have_no_folders(said, shown):
    assert sentence(said) == shown


def test_folders_with_blanks_are_known(tmp_path):
    folder = tmp_path / "my films (old)"
    said = f"{folder / 'a film.mkv'}: is no video; see {folder}"
    shown = sentence(said, [folder])
    assert shown.startswith("a film.mkv: is no video")
    assert str(tmp_path) not in shown


def test_only_what_is_for_the_browser_becomes_json(tmp_path):
    assert plain({"a": (1, float("nan")), 2: [True]}) == {"a": [1, None], "2": [True]}
    for value in (tmp_path, b"a", object()):
        with pytest.raises(TypeError):
            plain({"a": value})


def wait_for(true, seconds=5):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)
