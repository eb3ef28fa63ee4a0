"""Which addresses may be fetched from, where a server may send us on to, and how both are shown.

What comes from another machine comes encrypted, from the first address to the last. Only `http`,
`https` and files of this machine are known at all.
"""

from __future__ import annotations

import http.client
import ipaddress
import urllib.parse
import urllib.request
from typing import IO

__all__ = ["Refused", "opener", "shown", "unfit"]

_SCHEMES = ("https", "http", "file")


class Refused(Exception):
    """The file will not come from there; trying again does not help."""


def shown(url: str) -> str:
    """An address as anybody may read it: no name, no password, no key behind a `?`."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" + ("?..." if parts.query else "")


def unfit(url: str, plain: bool) -> str:
    """Why an address may not be used, or nothing.

    Args:
        url: The address.
        plain: `http` may lead to other machines, too.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in _SCHEMES:
        return f"want {', '.join(_SCHEMES)}, not {parts.scheme!r}"
    if "@" in parts.netloc:
        return "an address with a name or password is not used; fetch the file by hand"
    if parts.scheme == "http" and not plain and not _is_here(parts.hostname or ""):
        return "http can be read and changed on its way; want https"
    return ""


def _is_here(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a server to another address, if that may be used.

    Args:
        plain: See `unfit`.
    """

    def __init__(self, plain: bool) -> None:
        self._plain = plain

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """What to ask for instead.

        Raises:
            Refused: If it may not be asked for.
        """
        scheme = urllib.parse.urlsplit(newurl).scheme
        fault = unfit(newurl, self._plain)
        if scheme not in ("http", "https"):
            fault = f"{scheme!r} is not followed"
        elif scheme == "http" and req.type == "https":
            fault = "what began encrypted must stay so"
        if fault:
            raise Refused(f"{code}, it sends on to {shown(newurl)}: {fault}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def opener(url: str, plain: bool) -> urllib.request.OpenerDirector:
    """What opens an address, and those that it leads to; the proxies are the environment's.

    Args:
        url: The address; `unfit` must have nothing against it.
        plain: See `unfit`.
    """
    director = urllib.request.OpenerDirector()
    handlers: tuple[urllib.request.BaseHandler, ...] = (urllib.request.FileHandler(),)
    if not url.startswith("file:"):
        # not build_opener(), which knows ftp:, data: and file: as well
        handlers = (
            urllib.request.ProxyHandler(),
            urllib.request.UnknownHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            _SafeRedirects(plain),
            urllib.request.HTTPErrorProcessor(),
        )
    for handler in handlers:
        director.add_handler(handler)
    return director
