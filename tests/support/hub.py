"""A hub in this process that speaks the protocol of huggingface_hub's client: repositories, preupload, LFS, commits.

Files of TEXT suffixes go into the commit, all others through the LFS batch route, whose content is checked against its
SHA-256 as the real one does. A commit is applied whole or not at all.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import yaml

TEXT = (".md", ".json", ".txt", ".jinja", ".yaml")
TOKEN = "hf_for_the_tests_only"


@dataclass
class HubRepository:
    """Files by path, and the summaries of the commits."""

    kind: str
    is_private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)


@dataclass
class Hub:
    """What the hub holds and was asked."""

    address: str = ""
    repositories: dict[str, HubRepository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failing: dict[str, int] = field(default_factory=dict)
    """Part of a path -> the status with which it is refused."""


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Serve a hub at a free port of this machine."""
    hub = Hub()

    class Handler(_Handler):
        state = hub

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield hub
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Hub

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _is_refused(self, path: str) -> bool:
        self.state.asked.append(f"{self.command} {path}")
        status = next((s for part, s in self.state.failing.items() if part in path), None)
        if status is None and self.headers.get("Authorization") != f"Bearer {TOKEN}" and "/objects/" not in path:
            status = 401
        if status is not None:
            self._answer({"error": f"refused by the test with {status}"}, status)
        return status is not None

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if self._is_refused(path):
            return
        if not any(name in path for name in self.state.repositories):
            self._answer({"error": "Repository not found"}, 404)
        elif found := re.fullmatch(r"/api/\w+s/(\S+/\S+)/tree/main", path):
            files = self.state.repositories[found[1]].files
            self._answer([{"type": "file", "path": p, "size": len(c), "oid": git_oid(c)} for p, c in files.items()])
        elif found := re.fullmatch(r"/api/\w+s/([^/]+/[^/]+)(?:/revision/main)?", path):
            num_commits = len(self.state.repositories[found[1]].commits)
            self._answer({"id": found[1], "sha": f"{num_commits:040d}"})
        else:
            self._answer({"error": f"no route {path}"}, 404)

    def do_PUT(self) -> None:
        path, content = urlsplit(self.path).path, self._body()
        if self._is_refused(path):
            return
        oid = path.rpartition("/")[2]
        if hashlib.sha256(content).hexdigest() != oid:
            self._answer({"error": "the content is not what its oid says"}, 422)
            return
        self.state.objects[oid] = content
        self._answer({})

    def do_POST(self) -> None:
        path, body = urlsplit(self.path).path, self._body()
        if self._is_refused(path):
            return
        if path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            given = json.loads(body)["content"].partition("---\n")[2].partition("---\n")[0]
            self._answer({"errors": [], "warnings": [] if isinstance(yaml.safe_load(given), dict) else ["no metadata"]})
        elif found := re.fullmatch(r"/api/\w+s/(\S+/\S+)/preupload/main", path):
            self._preupload(self.state.repositories[found[1]], json.loads(body))
        elif path.endswith(".git/info/lfs/objects/batch"):
            self._answer({"transfer": "basic", "objects": [self._action(o) for o in json.loads(body)["objects"]]})
        elif path.endswith("/verify"):
            given = json.loads(body)
            known = self.state.objects.get(given["oid"])
            self._answer({}, 200 if known is not None and len(known) == given["size"] else 404)
        elif found := re.fullmatch(r"/api/\w+s/(\S+/\S+)/commit/main", path):
            self._commit(found[1], [json.loads(line) for line in body.splitlines()])
        else:
            self._answer({"error": f"no route {path}"}, 404)

    def _create(self, asked: dict) -> None:
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        if name in self.state.repositories:
            self._answer({"error": "You already created this repo", "url": f"{self.state.address}/{name}"}, 409)
            return
        is_private = asked.get("private") or asked.get("visibility") == "private"
        self.state.repositories[name] = HubRepository(asked.get("type", "model"), bool(is_private))
        self.state.repositories[name].files[".gitattributes"] = b"*.parquet filter=lfs\n"
        kind = asked.get("type", "model")
        self._answer({"url": f"{self.state.address}/{'datasets/' if kind == 'dataset' else ''}{name}", "name": name})

    def _preupload(self, repository: HubRepository, asked: dict) -> None:
        files = []
        for file in asked["files"]:
            path, known = file["path"], repository.files.get(file["path"])
            mode = "regular" if path.endswith(TEXT) else "lfs"
            oid = None if known is None else git_oid(known) if mode == "regular" else hashlib.sha256(known).hexdigest()
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._answer({"files": files})

    def _action(self, asked: dict) -> dict:
        oid, about = asked["oid"], {"oid": asked["oid"], "size": asked["size"]}
        if oid in self.state.objects:
            return about
        place = f"{self.state.address}/objects/{oid}"
        return {**about, "actions": {"upload": {"href": place}, "verify": {"href": f"{place}/verify"}}}

    def _commit(self, name: str, lines: list[dict]) -> None:
        repository, files = self.state.repositories[name], dict(self.state.repositories[name].files)
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                summary = value["summary"]
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.state.objects:
                    self._answer({"error": f"{value['path']} was never uploaded"}, 422)
                    return
                files[value["path"]] = self.state.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        repository.files = files
        repository.commits.append(summary)
        oid = f"{len(repository.commits):040d}"
        kinds = "datasets/" if repository.kind == "dataset" else ""
        url = f"{self.state.address}/{kinds}{name}/commit/{oid}"
        self._answer({"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})


def git_oid(content: bytes) -> str:
    """The SHA-1 under which git knows a blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
