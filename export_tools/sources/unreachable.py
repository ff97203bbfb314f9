"""What went wrong on the network, in a few words: the HTTP client's own quote classes, addresses and whole stacks."""

from __future__ import annotations

import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

import requests
from urllib3 import exceptions as urllib3

from export_tools.sources.index import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, without_credentials

HINT: Final = (
    "check the network and the proxy settings and call this again, it goes on where it stopped;"
    " or name a folder that holds the file with --mirror"
)


def told(cause: BaseException) -> str:
    """Which host and why; the text of the error where it says more than that, without user and password."""
    host = urlsplit(_address(cause)).hostname
    short = _short(_innermost(cause))
    if short is None:
        return without_credentials(str(cause))
    return f"{host or 'the server'} cannot be reached ({short})"


def _address(cause: BaseException) -> str:
    """Of the request, as far as the error knows it."""
    request = getattr(cause, "request", None)
    return str(getattr(request, "url", None) or "")


def _innermost(cause: BaseException) -> BaseException:
    """What lies under the wrappings of requests and urllib3, down to what names the reason."""
    while True:
        inner = cause.reason if isinstance(cause, urllib3.MaxRetryError) else next(iter(cause.args), None)
        wraps = isinstance(cause, requests.ConnectionError | urllib3.MaxRetryError | urllib3.SSLError)
        if not wraps or not isinstance(inner, BaseException):
            return cause
        cause = inner


def _short(cause: BaseException) -> str | None:
    origin = cause.__cause__ or cause.__context__
    if isinstance(cause, urllib3.ProxyError):
        return f"the proxy: {_short(cause.original_error) or cause.original_error}"
    if isinstance(cause, urllib3.NameResolutionError | socket.gaierror):
        return "its name is not found: no network, or no name server"
    if isinstance(cause, urllib3.NewConnectionError):  # before the next: it is one of its kind
        return (origin.strerror if isinstance(origin, OSError) else None) or "no connection"
    if isinstance(cause, urllib3.ConnectTimeoutError | requests.ConnectTimeout):
        return f"no connection within {CONNECT_TIMEOUT_S:.0f} s"
    if isinstance(cause, urllib3.ReadTimeoutError | requests.ReadTimeout):
        return f"no answer for {READ_TIMEOUT_S:.0f} s"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"no secure connection: {getattr(cause, 'reason', None) or cause.strerror}"
    if isinstance(cause, urllib3.ProtocolError):
        return "the connection broke off"
    return None
