"""A small faithful stand-in for the service: real HTTP on 127.0.0.1, its state in the test's hands.

It answers what contract/README.md says and nothing more, pushes only when a test says so, and signs with its
own few lines, so that a mistake of the client's signing code cannot cancel itself out.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import hmac
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx

from tests.client.fake_collections import WORDS, FakeAssets, FakeBatches, read_form
from tests.waiting import PATIENCE

Answer = tuple[int, dict[str, Any]]
STATUS_TYPES = {
    "pending": "video_translate.pending",
    "running": "video_translate.running",
    "completed": "video_translate.success",
    "failed": "video_translate.fail",
}
RESULTS = {"pending": "pending", "running": "pending", "completed": "completed", "failed": "error"}


def error(status: int, code: str, message: str = "no", param: str | None = None) -> Answer:
    return status, {"error": {"code": code, "message": message} | ({"param": param} if param else {})}


class FakeServer(FakeAssets, FakeBatches):
    def __init__(self, *, extensions: bool = True) -> None:
        super().__init__()
        self.extensions = extensions
        self.lock = threading.RLock()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.log: list[dict[str, Any]] = []
        self.requests: Counter[str] = Counter()
        self.bodies: list[tuple[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.overrides: dict[str, Callable[[], Answer | None]] = {}
        self.answer_headers: dict[str, str] = {}
        self.page_size = 100
        self.pruned = 0
        self.number = 0
        self.streams = False  # whether there is an event stream
        self.cdn = "https://cdn.example/"  # where the files of jobs are
        self.bulk = False  # whether there are bulk statuses
        self.tests: str | None = None  # what becomes of a test delivery: an outcome, or "delivered"
        self.retry_after: int | None = None  # on every job that goes on
        self.heartbeat = 15.0
        self.oldest = 0  # the first place that the log still knows
        self.resumed_from: list[str | None] = []
        self._live: set[socket.socket] = set()
        self.changed = threading.Condition(self.lock)
        self._httpd: _Httpd | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    # --- life -----------------------------------------------------------------------------------------

    def start(self) -> FakeServer:
        self._httpd = _Httpd(("127.0.0.1", self.port), _handler(self))
        self.port = self._httpd.server_address[1]
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        if self._httpd is not None and self._thread is not None:
            self.cut_streams()
            self._httpd.shutdown()
            self._httpd.server_close()
            self._httpd.cut()
            self._thread.join(PATIENCE)
            self._httpd = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, name: str) -> int:
        with self.lock:
            return self.requests[name]

    def wait_for(self, condition: Callable[[], bool], timeout: float = PATIENCE) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout), "the fake server waited in vain"

    # --- what a test does -----------------------------------------------------------------------------

    def new_job(self, **fields: Any) -> str:
        with self.lock:
            self.number += 1
            job_id = f"vt_{self.number}"
            now = time.time()
            self.jobs[job_id] = {
                "id": job_id,
                "status": "pending",
                "result": "pending",
                "sequence": 0,
                "progress": 0,
                "output_language": "French",
                "created_at": int(now),
                "updated_at": now,
                **fields,
            }
            self.move(job_id, "pending")
            return job_id

    def move(self, job_id: str, status: str, **fields: Any) -> dict[str, Any]:
        """Make a transition: the event is in the log, and nobody is told."""
        with self.lock:
            job = self.jobs[job_id]
            job |= {"status": status, "result": RESULTS[status], "updated_at": time.time(), **fields}
            job["sequence"] += 1
            return self.record(STATUS_TYPES[status], job)

    def record(self, kind: str, job: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            data = {"video_translate_id": job["id"], "callback_id": None, **job}
            del data["id"]
            if kind.endswith(".success"):
                data["url"] = self.cdn + job["id"]
            if kind.endswith(".fail"):
                data["message"] = job.get("failure_message", "it broke")
            return self.record_data(kind, data)

    def record_data(self, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            event = {
                "event_id": f"evt_{len(self.log) + 1}",
                "event_type": kind,
                "created_at": _iso(time.time()),
                "event_data": data,
            }
            self.log.append(event)
            self.changed.notify_all()
            return event

    def push(self, *events: dict[str, Any]) -> list[int]:
        """Deliver events, in the given order, to every endpoint; return the answers' status codes."""
        with self.lock:
            targets = [(endpoint["url"], endpoint["secret"]) for endpoint in self.endpoints.values()]
        with httpx.Client(trust_env=False) as sender:
            return [deliver(sender, url, secret, event) for event in events for url, secret in targets]

    def forget_endpoints(self) -> None:
        with self.lock:
            self.endpoints.clear()

    def cut_streams(self) -> None:
        """Break every stream as a network does: without a word."""
        with self.changed:
            for connection in self._live:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._live.clear()
            self.changed.notify_all()

    def stream(self, connection: socket.socket, write: Callable[[bytes], object], after: str | None) -> None:
        """Send what the log holds behind `after`, and what comes, until the connection is cut."""
        with self.changed:
            self._live.add(connection)
            self.resumed_from.append(after)
            place = len(self.log) if after is None else self._place(after) or 0
            self.changed.notify_all()
        write(b"retry: 10\nid: cur_%d\n\n" % place)
        while (fresh := self._news(connection, place)) is not None:
            place += len(fresh)
            write(b"".join(map(_frame, fresh)) or b": ping\nid: cur_%d\n\n" % place)

    def _news(self, connection: socket.socket, place: int) -> list[tuple[int, dict[str, Any]]] | None:
        with self.changed:
            self.changed.wait_for(lambda: len(self.log) > place or connection not in self._live, self.heartbeat)
            return list(enumerate(self.log))[place:] if connection in self._live else None

    # --- the API --------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        url = urlsplit(target)
        path, query = unquote(url.path), {name: values[0] for name, values in parse_qs(url.query).items()}
        name, argument = _route(method, path)
        with self.changed:
            self.requests[name] += 1
            self.headers.append(headers)
            is_form = headers.get("content-type", "").startswith("multipart/")
            payload = read_form(headers["content-type"], body) if is_form else json.loads(body) if body else None
            if payload is not None and not is_form:
                self.bodies.append((name, payload))
            self.changed.notify_all()
            override = self.overrides.get(name)
        forced = override() if override is not None else None
        if forced is not None:
            return forced
        handler = getattr(self, f"_{name}", None)
        if handler is None:
            return error(404, "resource_not_found")
        with self.lock:
            result: Answer = handler(argument, query, payload)
            return result

    def _status(self, _: str, query: dict[str, str], __: Any) -> Answer:
        job_id = query.get("video_translation_id") or next(reversed(self.jobs), "")
        return (200, dict(self.jobs[job_id])) if job_id in self.jobs else error(404, "resource_not_found")

    def _job(self, job_id: str, _: dict[str, str], __: Any) -> Answer:
        job = self.jobs.get(job_id)
        return (200, {"data": dict(job)}) if job else error(404, "resource_not_found")

    def _translate(self, _: str, __: dict[str, str], body: Any) -> Answer:
        if not body.get("output_languages"):
            return error(400, "invalid_parameter", "at least one language", "output_languages")
        ids = [self.new_job(output_language=language) for language in body["output_languages"]]
        return 200, {"data": {"video_translation_ids": ids}}

    def _rename_job(self, job_id: str, _: dict[str, str], body: Any) -> Answer:
        if job_id not in self.jobs:
            return error(404, "resource_not_found")
        self.jobs[job_id] |= body
        return 200, {"data": dict(self.jobs[job_id])}

    def _delete_job(self, job_id: str, _: dict[str, str], __: Any) -> Answer:
        found = self.jobs.pop(job_id, None)
        return (200, {"data": {"id": job_id}}) if found else error(404, "resource_not_found")

    def _user(self, _: str, __: dict[str, str], ___: Any) -> Answer:
        return 200, {"data": {"username": "ws_1", "billing_type": "wallet", "wallet": {"currency": "usd"}, "new": 1}}

    def _create_endpoint(self, _: str, __: dict[str, str], body: Any) -> Answer:
        extra = {"description", "ttl_seconds"} & set(body)
        if extra and not self.extensions:
            return error(400, "invalid_parameter", "unknown field", min(extra))
        self.number += 1
        endpoint_id = f"ep_{self.number}"
        secret = "whsec_" + base64.b64encode(hashlib.sha256(endpoint_id.encode()).digest()).decode()
        endpoint = {"endpoint_id": endpoint_id, "url": body["url"], "events": body["events"], "status": "enabled"}
        endpoint["created_at"] = _iso(time.time())
        if self.extensions:
            endpoint |= {"description": body.get("description"), "ttl_seconds": body.get("ttl_seconds")}
        self.endpoints[endpoint_id] = endpoint | {"secret": secret}
        extras = {"cursor": f"cur_{len(self.log)}"} if self.extensions else {}
        return 201, {"data": endpoint | {"secret": secret} | extras}

    def _list_endpoints(self, _: str, query: dict[str, str], __: Any) -> Answer:
        shown = [{k: v for k, v in e.items() if k != "secret"} for e in self.endpoints.values()]
        start = int(query.get("token", 0))
        stop = start + min(self.page_size, int(query.get("limit", 10)))
        more = stop < len(shown)
        return 200, {"data": shown[start:stop], "has_more": more, "next_token": str(stop) if more else None}

    def _delete_endpoint(self, endpoint_id: str, _: dict[str, str], __: Any) -> Answer:
        if self.endpoints.pop(endpoint_id, None) is None:
            return error(404, "webhook_not_found")
        return 200, {"data": {}}

    def _renew_endpoint(self, endpoint_id: str, _: dict[str, str], __: Any) -> Answer:
        endpoint = self.endpoints.get(endpoint_id)
        if endpoint is None:
            return error(404, "webhook_not_found")
        if endpoint.get("ttl_seconds") is None:
            return error(409, "conflict")
        return 200, {"data": {k: v for k, v in endpoint.items() if k != "secret"}}

    def _events(self, _: str, query: dict[str, str], __: Any) -> Answer:
        limit = min(self.page_size, int(query.get("limit", 10)))
        job_id = query.get("video_translate_id")
        places = [(i + 1, e) for i, e in enumerate(self.log)]
        chosen = [(i, e) for i, e in places if job_id in (None, e["event_data"].get("video_translate_id"))]
        after = query.get("after")
        if after is None or not self.extensions:
            newest = [e for _, e in reversed(chosen)][:limit]
            return 200, {"data": newest, "has_more": len(chosen) > limit, "next_token": None}
        place = self._place(after)
        if place is not None and place < self.oldest:
            return error(410, "cursor_expired")
        if place is None:
            return error(400, "invalid_parameter", "names nothing known", "after")
        if place < self.pruned:
            return error(410, "cursor_expired", f"no longer kept; the oldest is cur_{self.pruned}", "after")
        rest = [(i, e) for i, e in chosen if i > place]
        page = rest[:limit]
        more = len(rest) > limit
        cursor = f"cur_{page[-1][0] if more else len(self.log)}"
        return 200, {"data": [e for _, e in page], "has_more": more, "next_token": None, "cursor": cursor}

    def _stream(self, _: str, __: dict[str, str], ___: Any) -> Answer:
        if not self.streams:
            return error(404, "resource_not_found")
        after = self.headers[-1].get("last-event-id")
        place = None if after is None else self._place(after)
        if place is not None and place < self.oldest:
            return error(410, "cursor_expired")
        return 200, {"stream": True}

    def _bulk_statuses(self, _: str, query: dict[str, str], __: Any) -> Answer:
        if not self.bulk:
            return error(404, "resource_not_found")
        ids = query["video_translation_ids"].split(",")
        items = [{"video_id": i, "status": WORDS.get(self.jobs.get(i, {}).get("status"), "not_found")} for i in ids]
        return 200, {"data": items, "has_more": False, "next_token": None}

    def _test_endpoint(self, endpoint_id: str, _: dict[str, str], __: Any) -> Answer:
        if self.tests is None:
            return error(404, "resource_not_found")
        event = {
            "event_id": f"evt_test_{endpoint_id}",
            "event_type": "endpoint.test",
            "created_at": _iso(time.time()),
            "event_data": {"endpoint_id": endpoint_id},
        }
        self.log.append(event)
        return 200, {"data": self._delivery_of(event, [])}

    def _delivery(self, delivery_id: str, _: dict[str, str], __: Any) -> Answer:
        event = next(event for event in self.log if event["event_id"] == delivery_id.removeprefix("dlv_"))
        attempt = {"number": 1, "outcome": self.tests, "status": None, "detail": "nobody there", "response_body": ""}
        return 200, {"data": self._delivery_of(event, [attempt] if self.tests else [])}

    def _delivery_of(self, event: dict[str, Any], attempts: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "delivery_id": "dlv_" + event["event_id"],
            "event_id": event["event_id"],
            "event_type": event["event_type"],
            "endpoint_id": event["event_data"]["endpoint_id"],
            "video_translate_id": None,
            "state": "delivered" if self.tests == "delivered" else "due",
            "attempts": len(attempts),
            "attempt_log": attempts,
        }

    def _place(self, after: str) -> int | None:
        by_id = next((i + 1 for i, event in enumerate(self.log) if event["event_id"] == after), None)
        if by_id is not None:
            return by_id
        kind, _, number = after.partition("_")
        known = kind == "cur" and number.isdigit() and int(number) <= len(self.log)
        return int(number) if known else None


def deliver(sender: httpx.Client, url: str, secret: str, event: dict[str, Any]) -> int:
    body = json.dumps(event).encode()
    headers = sign(body, secret, event["event_id"], int(time.time()))
    return sender.post(url, content=body, headers=headers).status_code


def sign(body: bytes, secret: str, event_id: str, timestamp: int) -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    message = f"{event_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(key, message, "sha256").digest()).decode()
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + signature,
        "heygen-signature": hmac.new(secret.encode(), body, "sha256").hexdigest(),
        "heygen-timestamp": str(timestamp),
        "heygen-event-id": event_id,
    }


_BY_ID = {
    "/v3/video-translations/batches/": {"GET": "batch"},
    "/v3/video-translations/": {"GET": "job", "PATCH": "rename_job", "DELETE": "delete_job"},
    "/v3/webhooks/deliveries/": {"GET": "delivery"},
}


def _route(method: str, path: str) -> tuple[str, str]:
    jobs, endpoints = "/v3/video-translations", "/v3/webhooks/endpoints"
    fixed = {
        ("GET", "/status"): "status",
        ("POST", jobs): "translate",
        ("POST", endpoints): "create_endpoint",
        ("GET", endpoints): "list_endpoints",
        ("GET", "/v3/webhooks/events"): "events",
        ("GET", jobs + "/statuses"): "bulk_statuses",
        ("GET", "/v3/events/stream"): "stream",
        ("POST", "/v3/assets"): "upload",
        ("POST", jobs + "/batches"): "create_batch",
        ("GET", "/v3/users/me"): "user",
    }
    if (method, path) in fixed:
        return fixed[method, path], ""
    for prefix, names in _BY_ID.items():
        if method in names and path.startswith(prefix):
            return names[method], path.removeprefix(prefix)
    rest = path.removeprefix(endpoints + "/")
    if rest.endswith("/test"):
        return "test_endpoint", rest.removesuffix("/test")
    if method == "DELETE":
        return "delete_endpoint", rest
    return ("renew_endpoint", rest.removesuffix("/renew")) if rest.endswith("/renew") else ("unknown", path)


def _frame(numbered: tuple[int, dict[str, Any]]) -> bytes:
    number, event = numbered
    return f"id: cur_{number + 1}\nevent: {event['event_type']}\ndata: {json.dumps(event)}\n\n".encode()


def _iso(seconds: float) -> str:
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Httpd(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        """Cut the connections that clients keep alive, as the end of a process does."""
        for request in list(self.open):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


def _handler(fake: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = fake.answer(self.command, self.path, headers, body)
            if status == 200 and answer.get("stream"):
                self.stream(headers.get("last-event-id"))
                return
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("x-request-id", "req_1")
            if status == 200 and fake.retry_after is not None:
                self.send_header("retry-after", str(fake.retry_after))
            self.send_header("content-length", str(len(content)))
            for name, value in fake.answer_headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def stream(self, after: str | None) -> None:
            self.close_connection = True
            self.send_response(200)
            self.send_header("content-type", "text/event-stream; charset=utf-8")
            self.send_header("connection", "close")
            self.end_headers()
            with contextlib.suppress(OSError):
                fake.stream(self.connection, self.write, after)

        def write(self, content: bytes) -> None:
            self.wfile.write(content)
            self.wfile.flush()

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names that http.server asks for

        def log_message(self, *_: object) -> None:
            """Tests read their own records."""

    return Handler
