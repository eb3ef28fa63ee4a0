"""The door: whom the server answers, and what every answer says about itself.

A page that listens on this machine can be reached by every page that the browser has open. So the
name under which it is called must be ours (another name may have been made to point here), what
changes something must come from our own page, and nothing is ever offered to other pages.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import re
import urllib.parse
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vidcolor.preview.web.server.answers import FAULT, NO_STORE, Refusal, refused

__all__ = ["MARK", "Guard", "Rules"]

_log = logging.getLogger(__name__)

MARK = "x-vidcolor"
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_PATH = re.compile(rb"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){1,8}|/")
_HOST = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(?::[0-9]{1,5})?")
_READING = ("GET", "HEAD")
_MOST_QUERY_BYTES = 8192
_WRONG_TOKEN_S = 1.0
_MOST_WAITING = 16

_TOKEN_PAGE = (
    '<!doctype html><meta charset="utf-8"><title>vidcolor</title>'
    '<meta http-equiv="refresh" content="0; url=/"><p><a href="/">vidcolor</a></p>'
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Whom the server answers.

    Attributes:
        names: Names and addresses that may stand in the address line, lower case, without port.
        any_address: Also every address in numbers; only a name can be made to point elsewhere.
        token: What a browser must have been given; None: nothing.
        port: Ours, in the name of the cookie: browsers keep one set of cookies for all ports.
    """

    names: frozenset[str]
    any_address: bool = False
    token: str | None = None
    port: int = 0

    def knows(self, host: str) -> bool:
        """Whether a `Host` header means us."""
        found = _HOST.fullmatch(host.lower())
        if not found:
            return False
        name = found[1] or found[2]
        return name in self.names or (self.any_address and _is_address(name))

    @property
    def cookie(self) -> str:
        """Name of the cookie that stands for the token."""
        return f"vidcolor-{self.port}"

    def cookie_value(self) -> str:
        """What the cookie holds; the token cannot be told from it."""
        return hmac.new((self.token or "").encode(), b"vidcolor", hashlib.sha256).hexdigest()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """The application behind a door (ASGI).

    Args:
        app: What answers those who may come in.
        rules: Who they are.
    """

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served, only http")
        started = False

        async def said(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", NO_STORE)
            await send(message)

        try:
            own = await self._checked(scope)
            if own is None:
                await self._app(scope, receive, said)
            else:
                await own(scope, receive, said)
        except Refusal as error:
            await refused(error.status, error.message)(scope, receive, said)
        except ClientDisconnect:
            _log.debug("%s: the browser went away", scope["path"])
        except Exception as error:  # noqa: BLE001  (logged; the server must live on)
            _log.exception("%s %s failed", scope["method"], scope["path"], exc_info=error)
            if not started:
                await refused(500, FAULT)(scope, receive, said)

    async def _checked(self, scope: Scope) -> Response | None:
        """Nothing if the request may come in, or the answer to a token in the address.

        Raises:
            Refusal: If it may not.
        """
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._rules.knows(host):
            raise Refusal(
                403, "this server does not go by that name; open the address that vidcolor printed"
            )
        # all addresses of ours are plain; what is written another way is meant to get around checks
        if not _PATH.fullmatch(scope["raw_path"]):
            raise Refusal(404, "there is nothing at this address; go back to the page")
        if len(scope["query_string"]) > _MOST_QUERY_BYTES:
            raise Refusal(414, "this address is too long; go back to the page")
        self._check_origin(scope, headers, host)
        if self._rules.token is not None:
            return await self._check_token(scope, headers, self._rules.token)
        return None

    def _check_origin(self, scope: Scope, headers: Headers, host: str) -> None:
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        strange = Refusal(403, "another page asked for this; only vidcolor's own page may")
        # a page that sends no referrer may call its origin "null"; the browser then vouches for it
        ours = origin is None or origin.lower() == f"http://{host.lower()}"
        ours = ours or (origin == "null" and site == "same-origin")
        if scope["method"] in _READING:
            opened = scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
            known = site in (None, "same-origin", "none")
            # old browsers say no more than the origin, and that of streams and of fetch() only
            if not opened and not (known and ours):
                raise strange
            return
        if site not in (None, "same-origin") or not ours:
            raise strange
        if headers.get(MARK) != "1":
            raise Refusal(403, "what changes something needs the header X-Vidcolor: 1")

    async def _check_token(self, scope: Scope, headers: Headers, token: str) -> Response | None:
        if scope["path"] == "/" and scope["method"] == "GET":
            query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
            if "token" in query:
                if not _same(query["token"][-1], token):
                    await self._slow_down()
                    raise Refusal(
                        401, "this token is wrong; open the address that vidcolor printed"
                    )
                return self._let_in()
        given = cookie_parser(headers.get("cookie", "")).get(self._rules.cookie)
        if given is not None and _same(given, self._rules.cookie_value()):
            return None
        if given is not None:
            await self._slow_down()
        raise Refusal(
            401, "this page wants its token; open the address with ?token= that vidcolor printed"
        )

    def _let_in(self) -> Response:
        """A page that goes on to the real one, so that the token leaves the address line.

        No redirect: a browser that came by a link of another page would not send the cookie.
        """
        response = Response(_TOKEN_PAGE, media_type="text/html")
        response.set_cookie(
            self._rules.cookie, self._rules.cookie_value(), httponly=True, samesite="strict"
        )
        return response

    async def _slow_down(self) -> None:
        """Whoever guesses waits, all of them in one line; too many of them are sent away."""
        if self._waiting >= _MOST_WAITING:
            raise Refusal(429, "too many wrong tokens at once; wait a minute")
        self._waiting += 1
        try:
            async with self._turn:
                await asyncio.sleep(_WRONG_TOKEN_S)
        finally:
            self._waiting -= 1


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(
        given.encode("utf-8", "surrogateescape"), wanted.encode("utf-8", "surrogateescape")
    )
