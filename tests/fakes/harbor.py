"""A registry that refuses requests as Harbor 2.16 does.

    with FakeHarbor() as harbor:
        harbor.add_project("airgap")
        harbor.add_robot("pusher", "secret", "airgap", ("pull", "push"))

Every project is private. Users can authenticate by Basic or by the token service, whose tokens
contain only the user: the permissions are checked for each request. A refused request with an
``Authorization`` header gets a Basic challenge, regardless of the header's content; a request for
a missing project gets an empty challenge.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from dataclasses import dataclass, field
from urllib.parse import unquote

from tests.fakes.registry import Answer, FakeRegistry, Request, create_error

_PATH = re.compile(r"/v2/(?P<name>.+?)/(?P<kind>blobs|manifests|tags|referrers)/(?P<rest>.*)")
_ACTIONS = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}


@dataclass(slots=True)
class Project:
    """A project: its quota in bytes, and its immutable tags."""

    quota: int | None = None
    immutable: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _User:
    password: str
    rights: dict[str, tuple[str, ...]] = field(default_factory=dict)


class FakeHarbor(FakeRegistry):
    """A registry with projects, robots, quotas, immutable tags, and a read-only mode."""

    def __init__(self) -> None:
        super().__init__()
        self.projects: dict[str, Project] = {}
        self.read_only = False
        self._users: dict[str, _User] = {}
        self._sessions: dict[str, str | None] = {}

    def add_project(self, name: str, quota: int | None = None) -> Project:
        """Create a project."""
        self.projects[name] = Project(quota)
        return self.projects[name]

    def add_robot(self, name: str, password: str, project: str, rights: tuple[str, ...]) -> None:
        """Create a robot account with ``rights`` in one project."""
        self._users[name] = _User(password, {project: rights})

    def expire_sessions(self) -> None:
        """Forget all tokens."""
        self._sessions.clear()

    def answer(self, request: Request) -> Answer | None:
        """Refuse a request in Harbor's order: name, project, right, mode, quota, immutability."""
        if request.path == "/service/token":
            return self._issue_token(request)
        user, known = self._authenticate(request)
        matched = _PATH.match(unquote(request.path))
        if matched is None:
            return None if known else self._challenge(request, "UNAUTHORIZED", "unauthorized")
        name, action = matched["name"], _ACTIONS.get(request.method, "push")
        if "/" not in name:
            if request.method == "HEAD":
                return 400, {}, b""
            return create_error(400, "BAD_REQUEST", f"invalid repository name: {name}")
        if action != "pull" and "authorization" not in request.headers:
            return self._challenge(request, "UNAUTHORIZED", "authorize header needed")
        project = name.partition("/")[0]
        if project not in self.projects:
            text = f"project {project} not found: project {project} not found"
            status, headers, body = create_error(401, "UNAUTHORIZED", text)
            return status, headers | {"WWW-Authenticate": ""}, body
        rights = self._users[user].rights.get(project, ()) if user is not None else ()
        if action not in rights:
            text = f"unauthorized to access repository: {name}, action: {action}"
            return self._challenge(request, "UNAUTHORIZED", text)
        return self._refuse_write(request, matched, action)

    def _refuse_write(self, request: Request, matched: re.Match[str], action: str) -> Answer | None:
        project = self.projects[matched["name"].partition("/")[0]]
        tag = matched["rest"]
        if action != "pull" and self.read_only:
            text = "The system is in read only mode. Any modification is prohibited."
            return create_error(403, "DENIED", text)
        if matched["kind"] == "blobs" and request.method == "PUT" and project.quota is not None:
            text = (
                "adding 42.9 MiB of storage resource, which when updated to current usage of 0 B "
                "will exceed the configured upper limit of 1.0 MiB"
            )
            return create_error(403, "DENIED", text)
        if matched["kind"] == "manifests" and action != "pull" and tag in project.immutable:
            text = f"Failed to process request due to '{tag}' configured as immutable."
            return create_error(412, "PRECONDITION", text)
        return None

    def _challenge(self, request: Request, code: str, text: str) -> Answer:
        challenge = 'Basic realm="harbor"'
        if "authorization" not in request.headers:
            realm = f"{self.url}/service/token"
            challenge = f'Bearer realm="{realm}",service="harbor-registry"'
        status, headers, body = create_error(401, code, text)
        return status, headers | {"WWW-Authenticate": challenge}, body

    def _authenticate(self, request: Request) -> tuple[str | None, bool]:
        """Return the user of a request, and whether its credentials are valid."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer":
            return self._sessions.get(value), value in self._sessions
        if scheme == "Basic":
            name, _, password = base64.b64decode(value).decode().partition(":")
            valid = name in self._users and self._users[name].password == password
            return (name if valid else None), valid
        return None, False

    def _issue_token(self, request: Request) -> Answer:
        user, valid = self._authenticate(request)
        if "authorization" in request.headers and not valid:
            return create_error(401, "UNAUTHORIZED", "unauthorized")
        token = secrets.token_urlsafe(24)
        self._sessions[token] = user
        body = json.dumps({"token": token, "expires_in": 1800}).encode()
        return 200, {"Content-Type": "application/json"}, body
