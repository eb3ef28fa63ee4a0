"""Routes of a film: its state, edits of its script, references, the full render, downloads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vidcolor.preview.web.server.answers import NO_STORE, Refusal, answer, disposition, file_answer
from vidcolor.preview.web.server.bodies import file_name, number_in, read_body, read_object, words
from vidcolor.preview.web.server.site import Session, Site

__all__ = ["ROUTES", "film_of", "site_of"]

_FILM = re.compile(r"[0-9A-Za-z_-]{1,64}")
_MOST_EDITS = 1000
_NAME_BYTES = 200


def site_of(request: Request) -> Site:
    """What the application serves."""
    site: Site = request.app.state.site
    return site


def film_of(request: Request) -> str:
    """The id of a film in an address.

    Raises:
        Refusal: If it cannot be one.
    """
    film = str(request.path_params["film"])
    if not _FILM.fullmatch(film):
        raise Refusal(404, "there is no such film; go back to the list of films")
    return film


def _session(request: Request) -> Session:
    return site_of(request).session(film_of(request))


def _open(request: Request) -> Response:
    site = site_of(request)
    return answer(site.film(site.open(film_of(request))))


def _film(request: Request) -> Response:
    return answer(site_of(request).film(_session(request)))


async def _edits(request: Request) -> Response:
    body = await read_object(request)
    edits, revision = body.get("edits"), body.get("revision")
    if not isinstance(edits, list) or not all(isinstance(edit, dict) for edit in edits):
        raise Refusal(400, "edits must be a list of changes; reload the page")
    if len(edits) > _MOST_EDITS:
        raise Refusal(400, f"more than {_MOST_EDITS} changes at once; make fewer")
    if revision is not None and (isinstance(revision, bool) or not isinstance(revision, int)):
        raise Refusal(400, "revision must be a whole number; reload the page")
    found: list[Mapping[str, Any]] = edits
    number = await run_in_threadpool(lambda: _session(request).apply(found, revision))
    return answer({"revision": number})


def _undo(request: Request) -> Response:
    return answer({"revision": _session(request).undo()})


def _redo(request: Request) -> Response:
    return answer({"revision": _session(request).redo()})


async def _reference(request: Request) -> Response:
    site = site_of(request)
    given = words(request, "name", "shot", "frame")
    name = file_name(given)
    shot, frame = number_in(given, "shot"), number_in(given, "frame")
    film = film_of(request)
    await run_in_threadpool(site.session, film)
    with site.receiving():
        data = await read_body(request, site.limits.picture_bytes, "the picture")
        number = await run_in_threadpool(site.add_reference, film, name, data, shot, frame)
    return answer({"revision": number}, 201)


def _tracks(request: Request) -> Response:
    return answer({"job": site_of(request).job(_session(request).find_tracks())})


async def _render(request: Request) -> Response:
    body = await read_object(request)
    name, overwrite = body.get("name"), body.get("overwrite", False)
    if name is not None and not (isinstance(name, str) and 0 < len(name.encode()) <= _NAME_BYTES):
        raise Refusal(400, f"name must be that of a file, {_NAME_BYTES} bytes at most")
    if not isinstance(overwrite, bool):
        raise Refusal(400, "overwrite must be true or false; reload the page")
    job = await run_in_threadpool(lambda: _session(request).render(name, overwrite))
    return answer({"job": site_of(request).job(job)})


def _output(request: Request) -> Response:
    path = _session(request).output()
    return file_answer(path, name=path.name)


def _script(request: Request) -> Response:
    text = _session(request).desk.text()
    name = site_of(request).find(film_of(request)).script.name
    headers = {"cache-control": NO_STORE, "content-disposition": disposition(name)}
    return Response(text.encode(), 200, headers, "application/toml; charset=utf-8")


_HERE = "/api/films/{film}"

ROUTES = [
    Route(f"{_HERE}/open", _open, methods=["POST"]),
    Route(_HERE, _film),
    Route(f"{_HERE}/edits", _edits, methods=["POST"]),
    Route(f"{_HERE}/undo", _undo, methods=["POST"]),
    Route(f"{_HERE}/redo", _redo, methods=["POST"]),
    Route(f"{_HERE}/references", _reference, methods=["PUT"]),
    Route(f"{_HERE}/tracks", _tracks, methods=["POST"]),
    Route(f"{_HERE}/render", _render, methods=["POST"]),
    Route(f"{_HERE}/output", _output),
    Route(f"{_HERE}/script", _script),
]
