import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_site import small_server

from vidcolor.preview.web.server import guard
from vidcolor.preview.web.server.guard import Rules

WAIT_S = 0.15
TOKEN = "a token with ünicode & signs=1"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with small_server(tmp_path_factory.mktemp("guard") / "films") as server:
        server.call.post(f"/api/films/{server.film}/open")
        yield server


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "_WRONG_TOKEN_S", WAIT_S)
        with small_server(tmp_path_factory.mktemp("locked") / "films", token=TOKEN) as server:
            yield server


def cookie_of(answer):
    return answer.headers["set-cookie"].partition(";")[0]


# -- names: a name that was made to point here is not ours -----------------------------------------


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_the_names_of_this_machine_are_answered_on_any_port(here, name):
    # the port may be another one: people forward ports from machines far away
    for port in (f":{here.server.port}", ":9", ""):
        assert here.call.get("/api/state", Host=name + port).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:80",
        "192.168.1.7", "0.0.0.0", "127.0.0.1@evil.example", "localhost evil.example", "",
        "[::1", "localhost:", "localhost:123456", "localhost/", "127.1", "2130706433", "local host",
    ],
)  # fmt: skip
def test_other_names_are_refused(here, name):
    for path in ("/", "/api/state", "/page/index.html"):
        answer = here.call.get(path, Host=name)
        assert answer.status == 403
        assert "open the address that vidcolor printed" in answer.json["error"]


def test_a_target_that_names_another_server_is_refused(here):
    host = f"127.0.0.1:{here.server.port}".encode()
    for target in (b"http://evil.example/api/state", b"http://" + host + b"/api/state"):
        line = b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
        assert here.call.raw(line).startswith(b"HTTP/1.1 404")


def test_two_names_are_refused(here):
    line = b"GET /api/state HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n"
    assert here.call.raw(line).startswith(b"HTTP/1.1 400")


def test_no_name_is_refused(here):
    assert here.call.raw(b"GET /api/state HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 403")


def test_on_all_addresses_numbers_and_own_names_are_known():
    rules = Rules(frozenset({"localhost", "studio"}), any_address=True)
    for host in ("192.168.1.7:80", "[fe80::1]:80", "studio", "STUDIO:1"):
        assert rules.knows(host)
    for host in ("evil.example", "studio.evil.example", "1.2.3", "1.2.3.4.evil.example"):
        assert not rules.knows(host)


# -- other pages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "file://"])
def test_other_origins_change_nothing(here, origin):
    for method, path in (
        ("POST", f"/api/films/{here.film}/edits"),
        ("POST", f"/api/films/{here.film}/undo"),
        ("PUT", "/api/uploads?name=a.mp4"),
        ("DELETE", "/api/jobs/abc"),
    ):
        answer = here.call.ask(method, path, {}, {"Origin": origin})
        assert (answer.status, "another page" in answer.json["error"]) == (403, True)


def test_another_port_of_this_machine_is_another_page(here):
    other = f"http://127.0.0.1:{here.server.port + 1}"
    assert here.call.post(f"/api/films/{here.film}/open", Origin=other).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "nonsense"])
def test_what_the_browser_says_is_from_elsewhere_changes_nothing(here, site):
    head = {"Sec-Fetch-Site": site}
    assert here.call.ask("POST", f"/api/films/{here.film}/open", None, head).status == 403


def test_our_own_page_may(here):
    path = f"/api/films/{here.film}/open"
    ours = f"http://127.0.0.1:{here.server.port}"
    for head in (
        {},
        {"Origin": ours},
        {"Origin": ours, "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost:9000", "Host": "localhost:9000"},
    ):
        assert here.call.ask("POST", path, None, head).status == 200


@pytest.mark.parametrize("mark", [None, "", "0", "true"])
def test_without_the_header_nothing_changes(here, mark):
    revision = here.call.get(f"/api/films/{here.film}").json["revision"]
    edits = {"edits": [{"do": "note"}]}
    answer = here.call.ask("POST", f"/api/films/{here.film}/edits", edits, {"X-Vidcolor": mark})
    assert answer.status == 403
    assert "X-Vidcolor" in answer.json["error"]
    assert here.call.get(f"/api/films/{here.film}").json["revision"] == revision


def test_other_pages_read_nothing_either(here):
    for path in ("/api/state", f"/api/films/{here.film}/shots/0/thumb.jpg", "/api/events"):
        for site in ("cross-site", "same-site"):
            assert here.call.get(path, **{"Sec-Fetch-Site": site}).status == 403
    # a link to the page is no harm
    head = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert here.call.get("/", **head).status == 200
    assert here.call.get("/api/state", **head).status == 403


def test_old_browsers_that_name_only_the_origin_are_believed(here):
    for path in ("/api/state", "/api/events", "/page/main.js", "/"):
        for origin in ("http://evil.example", "null"):
            assert here.call.get(path, Origin=origin).status == 403
    ours = f"http://127.0.0.1:{here.server.port}"
    assert here.call.get("/api/state", Origin=ours).status == 200
    assert here.call.get("/api/state", **{"Sec-Fetch-Site": "same-origin"}).status == 200
    own = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
    assert here.call.get("/api/state", **own).status == 200
    link = {"Origin": "null", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert here.call.get("/", **link).status == 200


def test_nothing_is_offered_to_other_pages(here):
    head = {
        "Origin": "http://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-vidcolor",
    }
    for method in ("OPTIONS", "GET", "HEAD"):
        answer = here.call.ask(method, "/api/state", None, head)
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert here.call.ask("OPTIONS", "/api/state", None, head).status == 403


def test_every_answer_has_its_headers(here):
    paths = ("/", "/page/index.html", "/page/nothing.js", "/api/state", "/nothing", "/a/../b")
    for path in paths:
        headers = here.call.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers
    assert here.call.get("/api/state").headers["cache-control"] == "no-store"
    assert here.call.get("/nothing").headers["cache-control"] == "no-store"
    assert here.call.get("/api/state", Host="evil.example").headers["x-frame-options"] == "DENY"


# -- paths -----------------------------------------------------------------------------------------

STRANGE = [
    "/page/../site.py", "/page/..%2fsite.py", "/page/%2e%2e/site.py", "/page/..%5csite.py",
    "/page/..\\site.py", "/page//etc/passwd", "/page/%2fetc%2fpasswd", "/page//index.html",
    "//etc/passwd", "/page/index.html%00.js", "/page/C:%5cwindows", "/page/file:///etc/passwd",
    "/../../../etc/passwd", "/page/.", "/page/..", "/page/", "/page", "/page/./index.html",
    "/page/index.html/", "/page/__init__.py", "/page/.hidden.js", "/page/INDEX.HTML",
    "/page/index.html;a", "/api/state/", "/api/films/..%2f..%2fx", "/api/films/..",
    "/api/films/%66",
    "/api/%73tate",
    "/page/index%2ehtml", "/api/films/FILM/shots/0/frames/..%2f1.jpg",
    "/api/films/FILM/shots/-1/clip.mp4",
    "/api/films/FILM/shots/1e3/clip.mp4", "/api/films/FILM/shots/01/clip.mp4",
    "/api/films/FILM/shots/0/frames/0.gif", "/api/films/FILM/shots/0/frames/a.jpg",
    "/api/films/FILM/shots/0/frames/..jpg", "/api/films/FILM/shots/0/sure/0.jpg",
    "/api/films/FILM/shots/\xb2/clip.mp4", "/api/films/FILM/output/../script",
]  # fmt: skip


@pytest.mark.parametrize("path", STRANGE)
def test_strange_paths_lead_nowhere(here, path):
    path = path.replace("FILM", here.film)
    line = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    got = here.call.raw(line.encode("latin-1"))
    assert got.split(b" ", 2)[1] in (b"404", b"400")
    assert b"root:" not in got
    assert b"import" not in got


def test_words_of_addresses_are_checked(here):
    shot = f"/api/films/{here.film}/shots/0"
    for path in (
        f"{shot}/clip.mp4?key=../../x", f"{shot}/clip.mp4?key=a%00", f"{shot}/clip.mp4?key=%2fetc",
        f"{shot}/frames/0.jpg?side=after&key=abc&key=abf", f"{shot}/frames/0.jpg?side=between",
        f"{shot}/frames/0.jpg?path=/etc/passwd", f"{shot}/look.jpg", f"{shot}/look.jpg?frame=-1",
        f"{shot}/look.jpg?frame=1.5", f"{shot}/look.jpg?frame=99999999999",
    ):  # fmt: skip
        assert here.call.get(path).status == 400, path
    assert here.call.get("/api/state?" + "a" * 9000).status == 414


@given(path=st.text(st.characters(max_codepoint=255), max_size=60), query=st.binary(max_size=40))
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_path_is_a_fault(here, path, query):
    shot = f"/api/films/{here.film}/shots/0/"
    for start in (b"/", b"/page/", b"/api/films/", shot.encode()):
        target = start + path.encode("latin-1") + b"?" + query
        line = b"GET " + target + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        status = here.call.raw(line).split(b" ", 2)[1]
        assert status in (b"200", b"304", b"400", b"403", b"404", b"405"), (status, target)


# -- the token -------------------------------------------------------------------------------------


def test_without_the_token_nothing_is_shown(locked):
    for method, path in (
        ("GET", "/"), ("GET", "/page/index.html"), ("GET", "/api/state"), ("GET", "/api/events"),
        ("PUT", "/api/uploads?name=a.mp4"), ("GET", "/nothing"),
    ):  # fmt: skip
        answer = locked.call.ask(method, path)
        assert answer.status == 401
        assert "token" in answer.json["error"]
        assert "set-cookie" not in answer.headers


def test_the_token_is_given_once_and_then_the_cookie_counts(locked):
    first = locked.call.ask("GET", "/?" + locked.server.url.partition("?")[2])
    assert (first.status, first.headers["cache-control"]) == (200, "no-store")
    said = first.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert "token" not in said.partition(";")[0]
    assert b'url=/"' in first.body
    cookie = cookie_of(first)
    assert locked.call.get("/", Cookie=cookie).status == 200
    assert locked.call.get("/api/state", Cookie=f"a=b; {cookie}").status == 200
    # the token in an address of data is no way in: such addresses are kept in histories
    query = locked.server.url.partition("?")[2]
    assert locked.call.get(f"/api/state?{query}").status == 401


def test_wrong_tokens_are_refused_slowly_one_after_the_other(locked):
    cookie = f"vidcolor-{locked.server.port}"
    heads = [{"Cookie": f"{cookie}=abc"}, {"Cookie": f"{cookie}=\xe9"}, {"Cookie": f"{cookie}="}]
    started = time.monotonic()
    with ThreadPoolExecutor(6) as pool:
        guesses = [pool.submit(locked.call.get, f"/?token={word}") for word in ("x", "y", "a%20t")]
        guesses += [pool.submit(locked.call.get, "/api/state", **head) for head in heads]
        # whoever has the token does not wait behind those who guess
        right = locked.call.get("/?" + locked.server.url.partition("?")[2])
        waiting = sum(not guess.done() for guess in guesses)
        answers = [guess.result() for guess in guesses]
    assert (right.status, [answer.status for answer in answers]) == (200, [401] * 6)
    assert waiting >= 2
    assert time.monotonic() - started >= 6 * WAIT_S
    assert "wrong" in answers[0].json["error"]


def test_too_many_guesses_at_once_are_sent_away(locked):
    with ThreadPoolExecutor(24) as pool:
        guesses = [pool.submit(locked.call.get, f"/?token=wrong{i}") for i in range(24)]
        statuses = [guess.result().status for guess in guesses]
    # sixteen wait in line; how many more come in meanwhile depends on the machine
    assert 1 <= statuses.count(429) <= 8
    assert statuses.count(401) + statuses.count(429) == 24


def test_the_token_is_not_in_the_cookie_and_depends_on_it():
    one, two = Rules(frozenset(), token="abcdefgh"), Rules(frozenset(), token="abcdefgi")
    assert one.cookie_value() != two.cookie_value()
    assert "abcdefgh" not in one.cookie_value()
