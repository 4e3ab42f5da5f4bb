"""Interfaces of GitHub and GitLab for comments and approvals, as far as the workflows use them: a server on this machine."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY, PULL_REQUEST, RUN, TOKEN, PROJECT = "acme/handbook", "17", "4711", "t0ken", "9"
ME = 7
"""Whose token it is, at GitLab."""


class GitHub:
    """What it holds, and what it was asked."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.approvals: list[dict[str, Any]] = []
        self.url = ""

    def add(self, body: str, *, kind: str = "Bot") -> dict[str, Any]:
        author = {"id": ME if kind == "Bot" else ME + 1}
        found = {"id": 1000 + len(self.comments), "body": body, "user": {"type": kind}, "author": author}
        self.comments.append(found)
        return found

    def answer(self, verb: str, address: str, given: Any) -> tuple[int, Any]:
        parts, query = urlsplit(address), parse_qs(urlsplit(address).query)
        self.asked.append(f"{verb} {parts.path}")
        issues = f"/repos/{REPOSITORY}/issues"
        if (verb, parts.path) == ("GET", f"/repos/{REPOSITORY}/actions/runs/{RUN}/approvals"):
            return 200, self.approvals
        if parts.path == f"{issues}/{PULL_REQUEST}/comments":
            if verb == "POST":
                return 201, self.add(given["body"])
            size, page = int(query["per_page"][0]), int(query["page"][0])
            return 200, self.comments[(page - 1) * size : page * size]
        if verb == "PATCH" and parts.path.startswith(f"{issues}/comments/"):
            number = int(parts.path.rpartition("/")[2])
            found = next(one for one in self.comments if one["id"] == number)
            found["body"] = given["body"]
            return 200, found
        if (verb, parts.path) == ("GET", "/user"):
            return 200, {"id": ME}
        notes = f"/projects/{PROJECT}/merge_requests/{PULL_REQUEST}/notes"
        if parts.path == notes:
            if verb == "POST":
                return 201, self.add(given["body"])
            size, page = int(query["per_page"][0]), int(query["page"][0])
            return 200, self.comments[(page - 1) * size : page * size]
        if verb == "PUT" and parts.path.startswith(f"{notes}/"):
            found = next(one for one in self.comments if one["id"] == int(parts.path.rpartition("/")[2]))
            if found["author"]["id"] != ME:
                return 403, {"message": "403 Forbidden"}
            found["body"] = given["body"]
            return 200, found
        return 404, {"message": "Not Found"}


@contextmanager
def serving() -> Iterator[GitHub]:
    """A running server."""
    github = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            given = json.loads(self.rfile.read(size)) if size else None
            known = f"Bearer {TOKEN}" == self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") == TOKEN
            status, value = (
                github.answer(self.command, self.path, given) if known else (401, {"message": "Bad credentials"})
            )
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_PUT = _do

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    github.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
