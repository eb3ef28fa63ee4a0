"""A site without films of video: what routes promise is seen without decoding or coloring."""

import http.client
import itertools
import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

from vidcolor.errors import GuidanceError, MediaError
from vidcolor.preview.web.jobs import Jobs
from vidcolor.preview.web.server.serve import Server
from vidcolor.preview.web.server.site import Limits, Site
from vidcolor.preview.web.shots.views import NotMade

JPEG = b"\xff\xd8\xff\xe0 the picture of "
CLIP = bytes(range(256)) * 40
FRAMES = 8
SHOTS = 3


class SmallShelf:
    """Films in a folder, by hidden names until they are whole."""

    def __init__(self, folder, names):
        self.folder = folder
        self.entries = [self.entry(name, False) for name in names]
        self.broken = None
        self.numbers = itertools.count()

    def entry(self, name, uploaded):
        path = self.folder / name
        word = "f" + name.encode().hex()[:16]
        return SimpleNamespace(
            id=word, name=name, path=path, script=path.with_suffix(".vidcolor"), uploaded=uploaded
        )

    def films(self):
        return tuple(self.entries)

    def find(self, name):
        for entry in self.entries:
            if entry.id == name:
                return entry
        raise GuidanceError(f"there is no film {name}; go back to the list")

    def receive(self, name, chunks):
        hidden = self.folder / f".{next(self.numbers)}.partial"  # several may come at once
        try:
            with hidden.open("wb") as file:
                for chunk in chunks:
                    file.write(chunk)
            if not hidden.read_bytes().startswith(b"film"):
                raise MediaError(f"{self.folder / name}: is no video; send another file")
        except BaseException as error:
            self.broken = error
            hidden.unlink()
            raise
        entry = self.entry(name, True)
        hidden.rename(self.folder / f"{entry.id}.film")
        self.entries.append(entry)
        return entry

    def receive_picture(self, film, name, data):
        if not data.startswith(b"picture"):
            raise MediaError(f"{self.folder / name}: is no picture; send another file")
        return f"film.references/{len(data)}.png"


@dataclass
class SmallFilm:
    """A session that remembers what it was told."""

    entry: object
    events: object
    jobs: Jobs
    revision: int = 0
    edits: list = field(default_factory=list)
    opened: int = 0
    closed: bool = False
    work: object = None
    release: threading.Event = field(default_factory=threading.Event)
    looking: int = 0
    most_looking: int = 0

    def open(self):
        self.opened += 1

    def close(self):
        self.closed = True

    def state(self):
        return {
            "id": self.entry.id,
            "revision": self.revision,
            "jobs": [job.data() for job in self.jobs.list(self.entry.id)],
        }

    def apply(self, edits, revision):
        if revision is not None and revision != self.revision:
            raise GuidanceError("another tab was faster; look at the film again")
        for edit in edits:
            if edit.get("do") == "fail":
                raise OSError(edit["number"], "no", str(self.entry.path))
            if edit.get("do") == "stumble":
                raise ZeroDivisionError(f"at {self.entry.path}")
            if edit.get("do") != "note":
                raise GuidanceError(
                    f"{self.entry.path.with_suffix('.vidcolor')}: {edit.get('do')!r} is no edit"
                )
        self.edits += edits
        self.revision += 1
        return self.revision

    def undo(self):
        if not self.revision:
            raise GuidanceError("there is nothing to undo")
        self.revision += 1
        return self.revision

    redo = undo

    def _check(self, shot):
        if not 0 <= shot < SHOTS:
            raise GuidanceError(f"there is no shot {shot}; the last one is {SHOTS - 1}")

    def _job(self, kind, shot=None):
        if shot is not None:
            self._check(shot)
        work = self.work or (lambda report: None)
        return self.jobs.start(kind, None, kind, work, film=self.entry.id, shot=shot)

    def preview(self, shot):
        return self._job("preview", shot)

    def find_damage(self, shot):
        return self._job("damage", shot)

    def find_tracks(self):
        return self._job("tracks")

    def render(self, name, overwrite):
        if name and ("/" in name or "\\" in name or "\0" in name):
            raise GuidanceError("name must be a name, not a path")
        return self._job("render")

    def _picture(self, what, shot, frame, key):
        self._check(shot)
        if frame >= FRAMES or key not in (None, "abc"):
            raise NotMade(f"frame {frame} is not made yet; it comes in a moment")
        return JPEG + f"{what} {shot} {frame}".encode()

    def thumb(self, shot, side):
        return self._picture(f"thumb {side}", shot, 0, None)

    def look(self, shot, frame):
        self.looking += 1
        self.most_looking = max(self.looking, self.most_looking)
        try:
            if frame == 7:
                self.release.wait(5)
            return self._picture("look", shot, frame, None)
        finally:
            self.looking -= 1

    def picture(self, shot, frame, side, key):
        return self._picture(f"frame {side}", shot, frame, key)

    def full_picture(self, shot, frame, side, key=None):
        return self._picture(f"full {side}", shot, frame, key)

    def sure(self, shot, frame, key):
        return self._picture("sure", shot, frame, key)

    def damage(self, shot, frame):
        return self._picture("damage", shot, frame, None)

    def overlay(self, shot, key):
        self._check(shot)
        return {"frames": [{"t": 0.5, "boxes": []}]}

    def clip(self, shot, key):
        self._check(shot)
        return self.entry.path.with_name("clip.mp4")

    @property
    def desk(self):
        return self

    def add_reference(self, file, shot, frame):
        if shot is not None and shot >= SHOTS:
            raise GuidanceError(f"there is no frame {frame} in shot {shot}")
        self.edits.append((file, shot, frame))
        self.revision += 1
        return self.revision

    def output(self):
        return self.entry.path.with_name('Größe 映画 "a".mkv')

    def text(self):
        return "version = 1\n"


def small_site(folder, names=("film.mkv",), **limits):
    """A site of films without video."""
    sessions = {}
    jobs = Jobs()

    def session(entry, events):
        assert entry.id not in sessions or sessions[entry.id].closed, "opened twice"
        sessions[entry.id] = SmallFilm(entry, events, jobs)
        return sessions[entry.id]

    most = {"upload_bytes": 1 << 20, "picture_bytes": 1 << 16, **limits}
    shelf = SmallShelf(folder, names)
    site = Site(shelf, jobs, Limits(**most), session, lambda: {"version": "1"}, [folder])
    site.sessions = sessions
    (folder / "clip.mp4").write_bytes(CLIP)
    return site


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Caller:
    """A browser that does as it is told."""

    def __init__(self, url):
        self.url = url
        self.host, self.port = urlsplit(url).hostname, urlsplit(url).port
        self.always = {}

    def ask(self, method, path, body=None, headers=None, timeout=10):
        said = dict(self.always)
        if method not in ("GET", "HEAD"):
            said["X-Vidcolor"] = "1"
        said.update(headers or {})
        said = {name: value for name, value in said.items() if value is not None}
        if isinstance(body, dict | list):
            body = json.dumps(body)
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.putrequest(method, path, skip_host="Host" in said, skip_accept_encoding=True)
            for name, value in said.items():
                connection.putheader(name, value)
            data = body.encode() if isinstance(body, str) else body
            if data is not None:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders()
            if data is not None:
                connection.send(data)
            response = connection.getresponse()
            got = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, got, response.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, headers=headers)

    def post(self, path, body=None, **headers):
        return self.ask("POST", path, body, headers)

    def raw(self, data, timeout=5):
        """The first line of the answer to bytes that no client would send."""
        with socket.create_connection((self.host, self.port), timeout) as line:
            line.sendall(data)
            got = b""
            while piece := line.recv(65536):
                got += piece
        return got

    @contextmanager
    def listen(self, **headers):
        """An open stream of events."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=5)
        try:
            connection.request("GET", "/api/events", headers={**self.always, **headers})
            yield connection.getresponse()
        finally:
            connection.close()


def next_event(response):
    """Id and data of the next event, passing over what is none."""
    number = None
    while line := response.readline():
        text = line.decode().rstrip("\n")
        if text.startswith("id: "):
            number = text[4:]
        elif text.startswith("data: "):
            return number, json.loads(text[6:])
    return None


@contextmanager
def small_server(folder, names=("film.mkv",), limits=None, **settings):
    """A running server of a small site, and a caller."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    site = small_site(folder, names, **(limits or {}))
    with Server(site, **settings) as server:
        yield SimpleNamespace(
            site=site,
            server=server,
            call=Caller(server.url),
            folder=folder,
            film=site.library.entries[0].id if names else None,
        )
