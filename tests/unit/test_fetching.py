"""Addresses of recordings, where they may be opened: public ones, once resolved, within bounds."""

import http.server
import ipaddress
import socket
import threading
from collections.abc import Iterator

import pytest

from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.fetching import Fetcher, is_public

SONG = b"RIFF" + bytes(1000)


class Site:
    """A real server on 127.0.0.1 that also hears who calls 127.0.0.2."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        self.redirects: dict[str, str] = {}
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.hits.append(self.server.server_address[0] + self.path)
                if self.path in site.redirects:
                    self.send_response(302)
                    self.send_header("Location", site.redirects[self.path])
                    self.end_headers()
                elif self.path == "/song.wav":
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(SONG)
                elif self.path == "/endless":
                    self.send_response(200)
                    self.end_headers()
                    try:
                        while True:
                            self.wfile.write(bytes(2**20))
                    except OSError:
                        pass
                else:
                    self.send_error(404)

            def log_message(self, *_: object) -> None:
                pass

        self.servers = [http.server.ThreadingHTTPServer((host, 0), Handler) for host in ("127.0.0.1", "127.0.0.2")]
        self.port, self.inner_port = (server.server_address[1] for server in self.servers)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    for server in made.servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    for server in made.servers:
        server.shutdown()
        server.server_close()


def fetcher(site: Site) -> Fetcher:
    """One for which 127.0.0.1 is the public network, and nothing else is."""
    outside = ipaddress.ip_address("127.0.0.1")
    return Fetcher(allowed=lambda address: address == outside, ports=(site.port, site.inner_port))


def refused(fetch: Fetcher, url: str) -> str:
    with pytest.raises(ApiError) as error:
        fetch(url)
    assert (error.value.status, error.value.code) == (400, "audio_url_refused")
    return error.value.message


def test_a_recording_is_fetched_by_name_and_after_redirects(site):
    site.redirects = {"/a": "/b", "/b": f"http://127.0.0.1:{site.port}/song.wav"}
    fetch = fetcher(site)
    assert fetch(f"http://127.0.0.1:{site.port}/song.wav") == SONG
    assert fetch(f"http://127.0.0.1:{site.port}/a") == SONG


def test_a_redirect_into_a_private_network_is_not_followed(site):
    site.redirects = {"/a": f"http://127.0.0.2:{site.inner_port}/secret"}
    assert "not a public address" in refused(fetcher(site), f"http://127.0.0.1:{site.port}/a")
    assert not any("127.0.0.2" in hit for hit in site.hits)


def test_redirects_without_end_are_left(site):
    site.redirects = {"/a": "/a"}
    assert "redirects more than 3" in refused(fetcher(site), f"http://127.0.0.1:{site.port}/a")
    assert len(site.hits) == 4


def test_more_than_the_limit_is_not_read(site):
    assert "more than 25 MiB" in refused(fetcher(site), f"http://127.0.0.1:{site.port}/endless")


def test_what_is_not_there_is_told_without_its_words(site):
    assert "it answers 404" in refused(fetcher(site), f"http://127.0.0.1:{site.port}/none")


def test_a_name_that_answers_otherwise_later_gains_nothing(site, monkeypatch):
    """The name is resolved once; the connection goes to the address that was checked."""
    answers = iter(["127.0.0.1", "127.0.0.2"])
    real = socket.getaddrinfo

    def rebinding(host, *rest, **more):
        return real(next(answers) if host == "rebinding.test" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert fetcher(site)(f"http://rebinding.test:{site.port}/song.wav") == SONG
    assert not any("127.0.0.2" in hit for hit in site.hits)


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:{port}/x", "http://localhost:{port}/x", "http://[::1]:{port}/x", "http://2130706433:{port}/x",
     "http://0x7f000001:{port}/x", "http://127.1:{port}/x", "http://[::ffff:127.0.0.1]:{port}/x", "http://0:{port}/x",
     "http://[::ffff:7f00:1]:{port}/x", "http://[2002:7f00:1::]:{port}/x"],
)  # fmt: skip
def test_this_machine_is_never_called(site, address):
    refused(Fetcher(ports=(site.port,)), address.format(port=site.port))
    assert site.hits == []


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://example.org/x", "http://user:secret@example.org/x", "http:///x", "", "http://[::1",
     "https://example.org:22/x", "http://example.org:99999/x", "gopher://example.org"],
)  # fmt: skip
def test_what_is_no_plain_web_address_is_refused(url):
    assert "address" in refused(Fetcher(), url)


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "240.0.0.1",
     "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:169.254.169.254", "2002:a9fe:a9fe::"],
)  # fmt: skip
def test_private_addresses_of_every_kind_are_known(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_addresses_are_public(address):
    assert is_public(ipaddress.ip_address(address))
