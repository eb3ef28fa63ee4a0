"""Routes of a shot: its pictures, its clip, what lies over them, and the jobs that make them."""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vidcolor.preview.web.server.answers import Refusal, answer, file_answer, picture_answer
from vidcolor.preview.web.server.bodies import number_in, word, words
from vidcolor.preview.web.server.film_routes import film_of, site_of
from vidcolor.preview.web.server.site import Session

__all__ = ["ROUTES"]

_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_KEY = re.compile(r"[0-9A-Za-z_-]{0,128}")
_VERSION = re.compile(r"[0-9A-Za-z._~-]{0,200}")
_SIDE = re.compile(r"before|after")
_JPEG, _PNG = "image/jpeg", "image/png"


def _number(request: Request, name: str) -> int:
    text = str(request.path_params[name])
    if not _NUMBER.fullmatch(text):
        raise Refusal(404, "there is nothing at this address; go back to the page")
    return int(text)


def _place(request: Request) -> tuple[Session, int]:
    """Session and number of the shot that an address names."""
    return site_of(request).session(film_of(request)), _number(request, "shot")


async def _in_turn(request: Request, work: Callable[[], Response]) -> Response:
    """Do what takes a while, unless nobody waits for it any more."""
    async with site_of(request).turn:
        if await request.is_disconnected():
            return Response(None, 204)
        return await run_in_threadpool(work)


def _preview(request: Request) -> Response:
    session, shot = _place(request)
    return answer({"job": site_of(request).job(session.preview(shot))})


def _find_damage(request: Request) -> Response:
    session, shot = _place(request)
    return answer({"job": site_of(request).job(session.find_damage(shot))})


async def _thumb(request: Request) -> Response:
    given = words(request, "side", "v")
    side = word(given, "side", _SIDE) or "before"
    word(given, "v", _VERSION)

    def make() -> Response:
        session, shot = _place(request)
        # a version is the page's own count; the picture may be newer, so it is asked for again
        return picture_answer(request, session.thumb(shot, side), _JPEG, None)

    return await _in_turn(request, make)


async def _look(request: Request) -> Response:
    given = words(request, "frame", "v")
    word(given, "v", _VERSION)
    frame = number_in(given, "frame")
    if frame is None:
        raise Refusal(400, "frame is missing; reload the page")

    def make() -> Response:
        session, shot = _place(request)
        data = session.look(shot, frame)
        return picture_answer(request, data, _JPEG, None, {"x-vidcolor-exact": "0"})

    return await _in_turn(request, make)


async def _frame(request: Request, full: bool) -> Response:
    given = words(request, "side", "key", "v")
    word(given, "v", _VERSION)
    side, key = word(given, "side", _SIDE) or "before", word(given, "key", _KEY) or None
    # the key is that of the color; what was there before has none
    key = key if side == "after" else None

    def make() -> Response:
        session, shot = _place(request)
        take = session.full_picture if full else session.picture
        data = take(shot, _number(request, "frame"), side, key)
        return picture_answer(request, data, _PNG if full else _JPEG, key)

    return await _in_turn(request, make)


async def _frame_jpeg(request: Request) -> Response:
    return await _frame(request, False)


async def _frame_png(request: Request) -> Response:
    return await _frame(request, True)


def _clip(request: Request) -> Response:
    key = word(words(request, "key"), "key", _KEY) or None
    session, shot = _place(request)
    return file_answer(session.clip(shot, key), key=key)


def _overlay(request: Request) -> Response:
    key = word(words(request, "key"), "key", _KEY) or None
    session, shot = _place(request)
    return answer(session.overlay(shot, key))


def _sure(request: Request) -> Response:
    key = word(words(request, "key"), "key", _KEY) or None
    session, shot = _place(request)
    data = session.sure(shot, _number(request, "frame"), key)
    return picture_answer(request, data, _PNG, key)


async def _damage(request: Request) -> Response:
    word(words(request, "v"), "v", _VERSION)

    def make() -> Response:
        session, shot = _place(request)
        return picture_answer(request, session.damage(shot, _number(request, "frame")), _PNG, None)

    return await _in_turn(request, make)


_HERE = "/api/films/{film}/shots/{shot}"

ROUTES = [
    Route(f"{_HERE}/preview", _preview, methods=["POST"]),
    Route(f"{_HERE}/damage", _find_damage, methods=["POST"]),
    Route(f"{_HERE}/thumb.jpg", _thumb),
    Route(f"{_HERE}/look.jpg", _look),
    Route(_HERE + "/frames/{frame}.jpg", _frame_jpeg),
    Route(_HERE + "/frames/{frame}.png", _frame_png),
    Route(f"{_HERE}/clip.mp4", _clip),
    Route(f"{_HERE}/overlay.json", _overlay),
    Route(_HERE + "/sure/{frame}.png", _sure),
    Route(_HERE + "/damage/{frame}.png", _damage),
]
