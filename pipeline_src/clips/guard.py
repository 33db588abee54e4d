"""What a process that fetches may reach. Installed once, it cannot be taken off again: for child processes only.

The checks hang on Python's own audit events, which every connection of this process passes whatever library makes it,
with the address that a name was resolved to. So redirects and names that resolve to private addresses are covered.
"""

import ipaddress
import socket
import sys
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from pipeline_src.clips.outcomes import RefusedError
from pipeline_src.settings.clips import FetchSettings

# IPv6 forms that lead to IPv4 addresses, private ones too, and the old site-local range.
TRANSLATED = [ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "fec0::/10")]
DEFAULT_PORTS = {"http": 80, "https": 443}
PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty.spawn")


def check_url(url: str, settings: FetchSettings) -> None:
    """Refuse a URL before anything is asked for.

    Raises:
        RefusedError: another scheme than http and https, a host that is not allowed, or a private address.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port  # A wrong port is an error, too.
    except ValueError:  # It quotes what may be a password.
        raise RefusedError("no valid URL - allowed: http://host/path and https://host/path") from None
    if parts.scheme.lower() not in ("http", "https") or not host or any(character < "!" for character in url):
        raise RefusedError(f"{parts.scheme}: allowed: http:// and https://")
    if parts.username is not None or parts.password is not None:
        raise RefusedError("a URL with a user name")
    _check_host(host, settings)
    if not settings.allow_private:
        # Behind a proxy no connection shows where the host really is; what this machine knows of it still counts.
        for address in _addresses(host):
            if not is_public(address):
                raise RefusedError(f"{host}: a private address ({address}); fetch.allow_private allows it")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet."""
    try:
        found = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and any(found in network for network in TRANSLATED):
        return False
    mapped = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    return found.is_global and not found.is_multicast and (mapped is None or mapped.is_global)


def install(settings: FetchSettings) -> None:
    """Refuse, for the rest of this process, all other hosts and every program."""
    ports = _proxies(settings)
    proxies = {name for name, _ in ports}
    gateways = {(address, port) for name, port in ports for address in _addresses(name)}
    _check_every_request(settings)

    def watch(event: str, given: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto"):
            address = given[1]
            if not isinstance(address, tuple):
                raise RefusedError("a connection that is not over IP")
            if not settings.allow_private and address[:2] not in gateways and not is_public(str(address[0])):
                raise RefusedError(f"a private address ({address[0]}); fetch.allow_private allows it")
        elif event == "socket.getaddrinfo" and given[0] is not None:
            name = given[0].decode() if isinstance(given[0], bytes) else str(given[0])
            if name not in proxies:
                _check_host(name, settings)
        elif event in PROGRAMS or event == "ftplib.connect":
            raise RefusedError(f"{event} while fetching")

    sys.addaudithook(watch)


def _check_every_request(settings: FetchSettings) -> None:
    """Check the URL of every request, redirects too: behind a proxy, connections do not show where they lead."""
    import requests

    send, opened = requests.adapters.HTTPAdapter.send, urllib.request.OpenerDirector.open

    def checked_send(self: Any, request: Any, *given: Any, **named: Any) -> Any:
        check_url(str(request.url), settings)
        return send(self, request, *given, **named)

    def checked_open(self: Any, fullurl: Any, *given: Any, **named: Any) -> Any:
        check_url(fullurl if isinstance(fullurl, str) else fullurl.full_url, settings)
        return opened(self, fullurl, *given, **named)

    requests.adapters.HTTPAdapter.send = checked_send  # type: ignore[method-assign]
    urllib.request.OpenerDirector.open = checked_open  # type: ignore[method-assign]


def _check_host(host: str, settings: FetchSettings) -> None:
    name = host.lower().rstrip(".")
    if settings.hosts and not any(name == allowed or name.endswith(f".{allowed}") for allowed in settings.hosts):
        raise RefusedError(f"{host}: fetch.hosts allows {', '.join(settings.hosts)}")


def _proxies(settings: FetchSettings) -> set[tuple[str, int]]:
    """Host and port of the proxies in use.

    Raises:
        RefusedError: an address that none can have. It may hold a password, so nothing of it is told.
    """
    named = {"fetch.proxy": settings.proxy} if settings.proxy else urllib.request.getproxies()
    # NO_PROXY names hosts that are reached without one.
    urls = [url for name, url in named.items() if name != "no"]
    try:
        found = [urlsplit(url if "://" in url else f"http://{url}") for url in urls]
        ports = {(parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme, 1080)) for parts in found}
    except ValueError:
        raise RefusedError("the environment's proxy: no valid address - allowed: http://host:port") from None
    return {(host, port) for host, port in ports if host}


def _addresses(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return set()
