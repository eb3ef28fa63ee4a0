"""The server: bound to an address, running in a thread of its own until it is told to stop."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import secrets
import socket
import sys
import threading
import time
import urllib.parse
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import uvicorn

from vidcolor.config import Config
from vidcolor.errors import ConfigError
from vidcolor.models.store import cache_dir
from vidcolor.preview.web.desk.desk import Desk
from vidcolor.preview.web.desk.library import FilmEntry, Library
from vidcolor.preview.web.desk.reference_pictures import PICTURE_BYTES
from vidcolor.preview.web.film.session import FilmSession, previews_folder
from vidcolor.preview.web.jobs import Jobs
from vidcolor.preview.web.server.about import about
from vidcolor.preview.web.server.app import make_app
from vidcolor.preview.web.server.connection import Connection
from vidcolor.preview.web.server.events import Events
from vidcolor.preview.web.server.guard import Rules
from vidcolor.preview.web.server.site import Limits, Site
from vidcolor.preview.web.shots.cache import ViewCache
from vidcolor.schema import load, merge

__all__ = [
    "DEFAULT_HOST",
    "DEFAULT_PORT",
    "UPLOAD_BYTES",
    "Server",
    "Stop",
    "open_site",
    "serve",
]

_log = logging.getLogger(__name__)

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8470
UPLOAD_BYTES = 16 << 30
"""What a film that is sent may have, unless somebody says otherwise."""

_POLL_S = 0.2
_START_S = 10.0
_ANSWERS_S = 1  # uvicorn wants whole seconds
_JOBS_S = 1.5
_BACKLOG = 128
_MOST_CONNECTIONS = 256
_KEEP_ALIVE_S = 15
_TOKEN_BYTES = 16
_SHORTEST_TOKEN = 8


class Stop(Protocol):
    """Remembers that somebody wants the program to end."""

    def asked(self) -> bool:
        """Whether somebody does."""


class Server:
    """A server for as long as the context lasts.

    Attributes:
        url: Where the page is; with the token, if there is one.
        token: What browsers must bring along once.
        made_token: Whether nobody gave it, so that somebody must be told.
        port: That it is bound to.
        failure: What ended it, if that was not asked for.

    Args:
        site: What is served; closed at the end.
        host: Address or name to bind; other than loopback only with a token.
        port: 0 is any that is free; None is the usual one, or another if that is taken.
        token: What browsers must bring along once; None: made where it is needed.

    Raises:
        ConfigError: If the address cannot be bound.
    """

    def __init__(
        self,
        site: Site,
        host: str = DEFAULT_HOST,
        port: int | None = 0,
        token: str | None = None,
    ) -> None:
        if token is not None and len(token) < _SHORTEST_TOKEN:
            raise ConfigError(f"--token is too short; give {_SHORTEST_TOKEN} characters or more")
        self._site = site
        self._socket, local = _bind(host, port)
        self.made_token = token is None and not local
        self.token = secrets.token_urlsafe(_TOKEN_BYTES) if self.made_token else token
        self.port = int(self._socket.getsockname()[1])
        rules = _rules(host, self._socket, self.token)
        self.url = _url(host, self._socket, self.token)
        config = uvicorn.Config(
            make_app(site, rules),
            loop="asyncio",
            http=Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            # our own door logs what goes wrong; addresses may hold the token
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_ANSWERS_S,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="vidcolor-web", daemon=True)
        self.failure: BaseException | None = None

    def __enter__(self) -> Server:
        self._thread.start()
        end = time.monotonic() + _START_S
        while not self._server.started and self.alive and time.monotonic() < end:
            time.sleep(_POLL_S / 20)
        if not self._server.started:
            self.__exit__()
            raise RuntimeError("the server did not start") from self.failure
        return self

    def __exit__(self, *error: object) -> None:
        """Stop: streams end, jobs are canceled, answers that have begun get a second."""
        self._server.should_exit = True
        self._site.close(_JOBS_S)
        if self._thread.ident is not None:
            self._thread.join(_ANSWERS_S + _JOBS_S)
        self._socket.close()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._server.run([self._socket])
        except BaseException as error:  # noqa: BLE001  (told to whoever waits)
            self.failure = error


def serve(
    films: Sequence[Path],
    layers: Sequence[Mapping[str, Any]] = (),
    *,
    folder: Path,
    host: str = DEFAULT_HOST,
    port: int | None = None,
    token: str | None = None,
    browser: bool = True,
    upload_limit: int = UPLOAD_BYTES,
    stop: Stop | None = None,
) -> int:
    """Serve the page until Ctrl-C.

    Args:
        films: Videos, or folders of them; nothing else on this machine can be opened.
        layers: Of the config file, the environment and the flags. What file and flags say gets
            into new color scripts, and counts in others where they say nothing.
        folder: Where films go that a browser sends.
        host: Address or name to bind; other than loopback only with a token.
        port: None is the usual one, or another if that is taken.
        token: For browsers; made where one is needed and none is given.
        browser: Whether to open a browser.
        upload_limit: Bytes of a film that is sent.
        stop: Asked now and then whether to end.

    Returns:
        The exit code, 0.

    Raises:
        ConfigError: If the address cannot be bound.
        MediaError: If a film is not there.
    """
    site = open_site(films, layers, folder, upload_limit)
    try:
        server = Server(site, host, port, token)
    except BaseException:
        site.close()
        raise
    with server:
        # a token that was made is known from this line only
        _log.log(
            logging.WARNING if server.made_token else logging.INFO,
            "the page is at %s (Ctrl-C ends)",
            server.url,
        )
        try:
            if browser and _has_screen():
                # browsers in text may hold whoever starts them
                threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
            while server.alive and not (stop is not None and stop.asked()):
                time.sleep(_POLL_S)
        except KeyboardInterrupt:
            pass
    if server.failure is not None:
        raise RuntimeError("the server broke") from server.failure
    return 0


def open_site(
    films: Sequence[Path],
    layers: Sequence[Mapping[str, Any]],
    folder: Path,
    upload_limit: int = UPLOAD_BYTES,
    cache: ViewCache | None = None,
) -> Site:
    """What the server serves: real films.

    Args:
        films: See `serve`.
        layers: See `serve`.
        folder: See `serve`.
        upload_limit: See `serve`.
        cache: Keeps pictures and clips; None is the usual place.

    Raises:
        ConfigError: If a setting is wrong.
        MediaError: If a film is not there.
    """
    below, environment, flags = (*layers, {}, {}, {})[:3]
    # what flags say gets into new scripts, where the page can change it; so it lies beneath them
    beneath = merge(below, flags)
    load(Config, merge(beneath, environment), "settings")
    library = Library(films, folder, upload_limit)
    jobs = Jobs()

    def session(entry: FilmEntry, events: Events) -> FilmSession:
        return FilmSession(
            entry, Desk(entry), jobs, events.publish, layers=(beneath, environment), cache=cache
        )

    limits = Limits(upload_limit, PICTURE_BYTES)
    folders = (folder, cache_dir(), previews_folder(), Path.home(), Path.cwd())
    return Site(library, jobs, limits, session, about, folders)


def _bind(host: str, port: int | None) -> tuple[socket.socket, bool]:
    """A socket that listens, and whether only this machine can reach it.

    Raises:
        ConfigError: If it cannot be had.
    """
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ConfigError(
            f"--host {host} is no address of this machine; {DEFAULT_HOST} is for this machine only"
        ) from None
    family, _, _, _, place = found[0]
    if port is not None:
        return _listen(family, str(place[0]), port), _is_local(str(place[0]))
    try:
        bound = _listen(family, str(place[0]), DEFAULT_PORT)
    except _Taken:
        bound = _listen(family, str(place[0]), 0)
        _log.info("port %d is taken; using %d", DEFAULT_PORT, bound.getsockname()[1])
    return bound, _is_local(str(place[0]))


class _Taken(ConfigError):
    """Another program has the port."""


def _listen(family: int, address: str, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
        bound.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        bound.close()
        code = getattr(error, "errno", None)
        if code == errno.EADDRINUSE:
            raise _Taken(
                f"--port {port} is taken by another program; name another, or leave --port out"
            ) from None
        if code == errno.EADDRNOTAVAIL:
            raise ConfigError(
                f"--host {address} is no address of this machine; {DEFAULT_HOST} is for this "
                "machine only"
            ) from None
        raise ConfigError(
            f"--port {port} cannot be used ({error}); name one from 1024 to 65535"
        ) from None
    return bound


def _is_local(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _is_all(address: str) -> bool:
    return ipaddress.ip_address(address).is_unspecified


def _rules(host: str, bound: socket.socket, token: str | None) -> Rules:
    address, port = bound.getsockname()[:2]
    names = {host, address}
    if _is_local(address) or _is_all(address):
        names |= {"localhost", "127.0.0.1", "::1"}
    if not _is_local(address):
        names |= {socket.gethostname(), f"{socket.gethostname()}.local"}
    known = frozenset(name.lower() for name in names)
    return Rules(known, any_address=_is_all(address), token=token, port=port)


def _url(host: str, bound: socket.socket, token: str | None) -> str:
    address, port = bound.getsockname()[:2]
    name = socket.gethostname() if _is_all(address) else host
    name = f"[{name}]" if ":" in name else name
    words = "" if token is None else f"?token={urllib.parse.quote(token, safe='')}"
    return f"http://{name}:{port}/{words}"


def _has_screen() -> bool:
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
