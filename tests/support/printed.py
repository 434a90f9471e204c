"""The commands of a page of the documentation, run as they are printed, in an order of their own: the page's.

`mf` is this checkout's; `hf` is a program that the test gives. A server goes on in the background until the end.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
START_S = 180.0
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_READY = "/v2/health/ready"


def commands_of(page: Path) -> list[str]:
    """Every line of the page's blocks of commands, without its comment; lines that go on are joined."""
    blocks = [lines for language, lines in _BLOCK.findall(page.read_text()) if not language]
    text = "\n".join(block.replace("\\\n", " ") for block in blocks)
    lines = (line.partition("  #")[0].strip() for line in text.splitlines())
    return [" ".join(line.split()) for line in lines if line]


class Shell:
    """Runs commands in one folder after the other, as somebody who types them."""

    def __init__(self, folder: Path, programs: Mapping[str, str], log: Path) -> None:
        self.folder, self.log = folder, log
        bin_ = log.parent / "bin"
        bin_.mkdir(parents=True, exist_ok=True)
        for name, body in {"mf": f'exec {sys.executable} -m music_flamingo.cli "$@"', **programs}.items():
            (bin_ / name).write_text(f"#!/bin/sh\n{body}\n")
            (bin_ / name).chmod(0o755)
        paths = f"{ROOT / 'src'}:{ROOT / 'tests'}"
        self.environment = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "PYTHONPATH": paths}
        self.environment["OMP_NUM_THREADS"] = "1"
        self._servers: list[subprocess.Popen[bytes]] = []

    def run(self, line: str) -> str:
        """Run a line to its end, or until the server that it starts is ready; gives what it printed."""
        words = shlex.split(line)
        if words[0] == "cd":
            self.folder = self.folder / words[1]
            return ""
        if words[:2] == ["mf", "serve"]:
            return self._serve(line, words)
        done = subprocess.run(
            line, shell=True, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        with self.log.open("a") as log:
            log.write(f"$ {line}\n{done.stdout}{done.stderr}\n")
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout

    def _serve(self, line: str, words: list[str]) -> str:
        address = f"http://127.0.0.1:{words[words.index('--port') + 1]}"
        with self.log.open("ab") as log:
            server = subprocess.Popen(f"exec {line}", shell=True, cwd=self.folder, env=self.environment, stderr=log)
        self._servers.append(server)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert server.poll() is None, self.log.read_text()[-4000:]
            try:
                if httpx.get(address + _READY, trust_env=False).is_success:
                    return ""
            except httpx.HTTPError:
                time.sleep(0.5)
        raise AssertionError(f"no server within {START_S} s")

    def close(self) -> None:
        """End the servers."""
        for server in self._servers:
            server.terminate()
            server.wait(30)


def each(commands: list[str], changes: Mapping[str, str]) -> Iterator[str]:
    """The commands with words replaced. Raises AssertionError where a word to be replaced stands nowhere."""
    for word in changes:
        assert any(word in command for command in commands), f"the page says {word!r} no more"
    for command in commands:
        for word, other in changes.items():
            command = command.replace(word, other)
        yield command
