"""Calls of a running server's API, as whoever the command line's options say.

The standard library's client is enough: a command makes a handful of calls, to a server that is near. What goes wrong
becomes the `Refusal` that ends the command.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from video_translation_server.cli.exits import FAILED, UNREACHABLE, USAGE, Refusal

DEFAULT_WORKSPACE: Final = "ws_default"
PAGE: Final = 100
_TIMEOUT: Final = 10.0
_WRONG_USAGE: Final = (400, 415, 422)
_HINTS: Final = {
    401: "give one as --key, or in VTS_API_KEY or VIDEO_TRANSLATION_API_KEY",
    403: "the admin key goes into --admin-key or VTS_ADMIN_KEY",
}


@dataclass(frozen=True, slots=True)
class Api:
    """The API at a URL, for whoever holds these keys.

    Attributes:
        key: Opens a workspace.
        admin_key: Opens `/v3/admin` and `/_sim`, and every workspace by its name.
        workspace: The workspace to act in, by the admin key; None: the key's own.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    admin_key: str | None = field(default=None, repr=False)
    workspace: str | None = None

    @property
    def home(self) -> str:
        """The workspace that whoever runs the server acts in."""
        return self.workspace or DEFAULT_WORKSPACE

    @property
    def is_operators(self) -> bool:
        """Whether whoever runs the server calls; otherwise it is somebody with the key of one workspace."""
        return self.workspace is not None or self.admin_key is not None or self.key is None

    def operate(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The `data` of a call of `/v3/admin` or `/_sim`; raises Refusal."""
        return self._read(method, path, self._operators_headers, body, query)["data"]

    def act(self, method: str, path: str, body: Any = None, *, workspace: str | None = None, **query: Any) -> Any:
        """The answer to a call inside of a workspace (the options' one, if none is named here); raises Refusal."""
        return self._read(method, path, self._workspaces_headers(workspace), body, query)

    def pages(self, path: str, limit: int | None, **query: Any) -> Iterator[dict[str, Any]]:
        """At most so many items of a list, page by page; None: all."""
        headers = self._operators_headers if path.startswith("/v3/admin") else self._workspaces_headers(None)
        token = None
        while limit is None or limit > 0:
            size = PAGE if limit is None else min(PAGE, limit)
            page = self._read("GET", path, headers, None, query | {"limit": size, "token": token})
            yield from page["data"]
            token = page["next_token"]
            if token is None:
                return
            limit = None if limit is None else limit - size

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: Any = None
    ) -> tuple[int, Any]:
        """Status and body of one answer, whatever the status is.

        Raises:
            Refusal: The URL is none, or no server of ours answers at it.
        """
        if not self.url.startswith(("http://", "https://")):
            raise Refusal(f"{self.url} is no URL; give the server's as --url http://127.0.0.1:8000", code=USAGE)
        content = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        try:
            request = Request(self.url.rstrip("/") + path, content, sent, method=method)  # noqa: S310  (the scheme was checked)
            # A proxy of the environment is not for the server of this machine.
            with build_opener(ProxyHandler({})).open(request, timeout=_TIMEOUT) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            with error:
                return error.code, _json(error)
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise Refusal(
                f"no server answers at {self.url} ({reason}); "
                "start one with `video-translation-server start`, or give its --url",
                code=UNREACHABLE,
                reason="server_unreachable",
            ) from error

    @property
    def _operators_headers(self) -> dict[str, str]:
        return {"X-Api-Key": self.admin_key} if self.admin_key else {}

    def _workspaces_headers(self, workspace: str | None) -> dict[str, str]:
        if not self.is_operators:
            return {"X-Api-Key": self.key or ""}
        return self._operators_headers | {"X-Workspace-Id": workspace or self.home}

    def _read(self, method: str, path: str, headers: Mapping[str, str], body: Any, query: Mapping[str, Any]) -> Any:
        given = {name: value for name, value in query.items() if value is not None}
        status, answer = self.ask(method, f"{path}?{urlencode(given)}" if given else path, headers, body)
        if status < 400:  # noqa: PLR2004  (RFC 9110 section 15.5: errors begin here)
            return answer
        problem = answer.get("error") if isinstance(answer, dict) else None
        told = problem if isinstance(problem, dict) else {"message": f"the server answered {status}"}
        message = f"{told.get('message')}; {_HINTS[status]}" if status in _HINTS else str(told.get("message"))
        raise Refusal(
            message,
            code=USAGE if status in _WRONG_USAGE else FAILED,
            reason=told.get("code", "api_error"),
            status=status,
            param=told.get("param"),
        )


def _json(error: HTTPError) -> Any:
    try:
        return json.load(error)
    except ValueError:
        return None
