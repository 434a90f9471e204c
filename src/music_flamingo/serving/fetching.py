"""Fetch recordings by URL where enabled: public addresses only; size, time and redirects are bounded.

A name is resolved once, every address that it has must be public, and the connection goes to the address that was
checked: a name that answers otherwise a moment later (rebinding) gains nothing. Each redirect is checked anew.
"""

import ipaddress
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx

from music_flamingo.serving.errors import ApiError, echo
from music_flamingo.serving.uploads import UPLOAD_LIMITS

MAX_REDIRECTS = 3
TIMEOUT_S = 20.0
PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Fetch = Callable[[str], Awaitable[bytes]]

FETCHERS = 4
"""Addresses that are read at once, each in a process of its own."""
MAX_FETCHES_WAITING = 12
FETCHING_S = 30.0
"""For one address with its redirects, from its name to its last byte, however slowly its headers come."""
NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("fec0::/10", "168.63.129.16/32", "192.0.0.0/24", "64:ff9b::/96", "64:ff9b:1::/48"),
        *("192.88.99.0/24", "3fff::/20"),
    )
)
"""Counted as global by Python: old site-local addresses, a cloud's metadata services, what translates to IPv4, relays
to 6to4, the newer examples of documentation."""
ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""Above the last 32 bits of an IPv6 address: those are an IPv4 address, to which routers of such networks hand on."""


def is_public(address: Address) -> bool:
    """Not of this machine, its network, a cloud's metadata service, or a mapped form of these."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if int(address) >> 32 & 0xFFFF_FFFF in ISATAP:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
    if any(address.version == network.version and address in network for network in NOT_PUBLIC):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


@dataclass(frozen=True)
class Fetcher:
    """Fetches from a thread. `allowed` and `ports` are what tests loosen."""

    allowed: Callable[[Address], bool] = is_public
    ports: tuple[int, ...] = tuple(PORTS.values())
    timeout_s: float = TIMEOUT_S

    def __call__(self, url: str) -> bytes:
        """Raises ApiError (400) saying what is wrong with the address, never what answered there."""
        for _ in range(MAX_REDIRECTS + 1):
            content, redirect = self._get(url)
            if redirect is None:
                return content
            url = urljoin(url, redirect)
        raise _refused(url, f"it redirects more than {MAX_REDIRECTS} times")

    def _get(self, url: str) -> tuple[bytes, str | None]:
        """(body, None) or (nothing, where to go instead)."""
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise _refused(url, "it is no address") from error
        if parts.scheme not in PORTS or not parts.hostname or port not in self.ports or parts.username is not None:
            raise _refused(url, "it is no plain http or https address")
        address = self._resolve(url, parts.hostname, port)
        host = f"[{address}]" if ":" in address else address
        pinned = parts._replace(netloc=f"{host}:{port}", fragment="").geturl()
        headers = {"Host": parts.netloc.rpartition("@")[2], "Accept": "audio/*", "Accept-Encoding": "identity"}
        try:
            with (
                httpx.Client(trust_env=False, timeout=self.timeout_s) as client,
                client.stream("GET", pinned, headers=headers, extensions={"sni_hostname": parts.hostname}) as answer,
            ):
                if answer.is_redirect:
                    return b"", answer.headers.get("location", "")
                if answer.status_code != 200:
                    raise _refused(url, f"it answers {answer.status_code}")
                if answer.headers.get("content-encoding", "identity").lower() != "identity":
                    raise _refused(url, "it is compressed")
                return self._read(url, answer), None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _refused(url, "it cannot be read") from error

    def _resolve(self, url: str, host: str, port: int) -> str:
        try:
            found = {info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        except (OSError, UnicodeError) as error:
            raise _refused(url, "its host is not known") from error
        if not all(self.allowed(ipaddress.ip_address(str(address).partition("%")[0])) for address in found):
            raise _refused(url, "it is not a public address")
        return str(min(found))

    def _read(self, url: str, answer: httpx.Response) -> bytes:
        content, started_s = bytearray(), time.monotonic()
        for part in answer.iter_raw():
            content += part
            if time.monotonic() - started_s > self.timeout_s:
                raise _refused(url, f"it takes more than {self.timeout_s:.0f} s")
            if len(content) > UPLOAD_LIMITS.max_bytes:
                raise _refused(url, f"it holds more than {UPLOAD_LIMITS.max_bytes // 2**20} MiB")
        return bytes(content)


def _refused(url: str, reason: str) -> ApiError:
    return ApiError(400, f"audio_url {echo(url)} is not fetched: {reason}.", "audio_url_refused", "messages")
