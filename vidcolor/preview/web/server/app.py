"""The application: addresses and what answers them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from vidcolor.errors import VidcolorError
from vidcolor.preview.web.server import film_routes, shot_routes
from vidcolor.preview.web.server.answers import FAULT, Refusal, answer, refused, status_of
from vidcolor.preview.web.server.bodies import file_name, received, words
from vidcolor.preview.web.server.events import EventStream
from vidcolor.preview.web.server.guard import Guard, Rules
from vidcolor.preview.web.server.page_files import PageFile, page_files
from vidcolor.preview.web.server.site import Site
from vidcolor.preview.web.shots.views import NotMade

__all__ = ["make_app"]

_JOB = re.compile(r"[0-9A-Za-z_-]{1,64}")
_PICTURES = (".jpg", ".png", "/overlay.json")
_SENTENCES = {
    404: "there is nothing at this address; go back to the page",
    405: "this address is for something else; reload the page",
}


def make_app(site: Site, rules: Rules) -> ASGIApp:
    """All routes behind their guard.

    Args:
        site: What they serve.
        rules: Whom they answer.
    """
    page = page_files()
    app = Starlette(
        routes=[
            Route("/", _shown(page, "index.html")),
            Route("/page/{name}", _shown(page, None)),
            Route("/favicon.ico", _no_icon),
            Route("/api/state", _state),
            Route("/api/uploads", _upload, methods=["PUT"]),
            Route("/api/events", _events),
            Route("/api/jobs/{job}", _cancel, methods=["DELETE"]),
            *film_routes.ROUTES,
            *shot_routes.ROUTES,
        ],
        exception_handlers={
            HTTPException: _http_error,
            Refusal: _error,
            NotMade: _not_made,
            VidcolorError: _error,
            OSError: _error,
            Exception: _fault,
        },
    )
    app.state.site = site
    return Guard(app, rules)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = _SENTENCES.get(error.status_code, "this cannot be done here; reload the page")
    response = refused(error.status_code, message)
    response.headers.update(error.headers or {})
    return response


async def _error(request: Request, error: Exception) -> Response:
    """What a user can mend becomes a sentence; the rest goes on to the guard, which logs it."""
    found = status_of(error)
    if found is None:
        raise error
    return refused(found[0], request.app.state.site.sentence(found[1]))


async def _not_made(request: Request, error: Exception) -> Response:
    """A picture may go between the page's hearing of it and its asking: that is no error."""
    if request.url.path.endswith(_PICTURES):
        return Response(None, 204, {"cache-control": "no-store"})
    return refused(404, request.app.state.site.sentence(error))


async def _fault(request: Request, error: Exception) -> Response:
    return refused(500, FAULT)


def _shown(page: dict[str, PageFile], name: str | None) -> Callable[[Request], Any]:
    """The route of a page's file, by its own name or the one in the address."""

    async def show(request: Request) -> Response:
        file = page.get(name or request.path_params["name"])
        if file is None:
            raise Refusal(404, _SENTENCES[404])
        headers = {"cache-control": "no-cache", "etag": file.tag}
        if request.headers.get("if-none-match") == file.tag:
            return Response(None, 304, headers)
        return Response(file.data, 200, headers, file.media_type)

    return show


async def _no_icon(request: Request) -> Response:
    return Response(None, 204)


def _state(request: Request) -> Response:
    site: Site = request.app.state.site
    return answer(site.state())


async def _upload(request: Request) -> Response:
    site: Site = request.app.state.site
    name = file_name(words(request, "name"))
    with site.receiving():
        entry = await received(
            request,
            site.limits.upload_bytes,
            "the film",
            lambda pieces: site.library.receive(name, pieces),
        )
    return answer({"id": entry.id}, 201)


async def _events(request: Request) -> Any:
    if request.method == "HEAD":
        return Response(None, 200, media_type="text/event-stream")
    site: Site = request.app.state.site
    return EventStream(site.events)


def _cancel(request: Request) -> Response:
    site: Site = request.app.state.site
    job = request.path_params["job"]
    if not _JOB.fullmatch(job):
        raise Refusal(404, _SENTENCES[404])
    try:
        site.jobs.cancel(job)
    except VidcolorError as error:
        raise Refusal(404, site.sentence(error)) from None
    return answer({})
