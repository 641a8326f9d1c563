"""The command `listen`: prints events as they happen, and forwards them to a local app as signed webhooks.

How the stream is read is the business of `tailing`.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from video_translation_client.cli import exits
from video_translation_client.cli.output import cell
from video_translation_client.cli.session import Session, shared_options
from video_translation_client.cli.tailing import Tail
from video_translation_client.cli.verification import SECRET_VARIABLE

if TYPE_CHECKING:
    from video_translation_client._sse import Message
    from video_translation_client._transport import Forwarder

_REQUEST_TIMEOUT = 10.0


@click.command()
@click.option("--events", help="Types with commas between; default: all but progress.")
@click.option("--from", "cursor", metavar="CURSOR", help="Begin behind this event or cursor; default: now.")
@click.option("--forward-to", "target", metavar="URL", help="POST each event there, as a signed webhook.")
@click.option("--secret", help=f"Sign with this instead of a new secret. [{SECRET_VARIABLE}]")
@click.option("--limit", type=click.IntRange(min=1), help="End after so many events.")
@shared_options
@click.pass_obj
def listen(
    session: Session,
    /,
    *,
    events: str | None,
    cursor: str | None,
    target: str | None,
    secret: str | None,
    limit: int | None,
) -> int:
    """Print events as they happen, until Ctrl-C.

    Reads the service's event stream: no tunnel, no endpoint. With --forward-to a local app gets each event as the
    service would deliver it, signed with the secret that is printed at the start.
    """
    from video_translation_client._errors import NotFoundError  # noqa: PLC0415 - see the package

    types = [name.strip() for name in (events or "").split(",") if name.strip()]
    signer = _signer(secret)
    with session.client() as client, _forwarder(session, target) as forwarder:
        tail = Tail(client, types, cursor, session.output.remark)
        if forwarder is not None:
            click.echo(f"Forwarding to {target}. Your app verifies with the secret {signer}", err=True)
        session.output.remark(f"Listening to {client.base_url} (Ctrl-C ends it)")
        try:
            for number, message in enumerate(tail.messages(), start=1):
                result = None if forwarder is None else _forward(forwarder, message, signer)
                _show(session, message, result)
                if number == limit:
                    break
        except NotFoundError as error:
            raise exits.Refusal(
                f"{client.base_url} has no event stream; use a webhook: video-translation webhooks create URL",
                code=exits.FAILED,
                reason="no_event_stream",
                as_json=session.json,
            ) from error
    return exits.COMPLETED


def _forwarder(session: Session, target: str | None) -> AbstractContextManager[Forwarder | None]:
    if target is None:
        return nullcontext()
    if not target.lower().startswith(("http://", "https://")):
        raise click.UsageError(f"--forward-to takes a URL that begins with http:// or https://, not {target!r}")
    from video_translation_client._transport import Forwarder  # noqa: PLC0415 - see the package

    return Forwarder(target, timeout=session.request_timeout or _REQUEST_TIMEOUT)


def _forward(forwarder: Forwarder, message: Message, secret: str) -> dict[str, Any]:
    """Deliver one event; what goes wrong is told and does not end the listening."""
    from video_translation_client._errors import ServerUnreachableError  # noqa: PLC0415 - see the package
    from video_translation_client._signature import sign  # noqa: PLC0415 - as above

    body = message.data.encode()
    event_id = str(_read(message).get("event_id") or message.id)
    try:
        headers = sign(body, secret=secret, event_id=event_id, timestamp=int(time.time()))
        return {"url": forwarder.url, "status": forwarder.post(body, headers), "error": None}
    except ServerUnreachableError as error:
        return {"url": forwarder.url, "status": None, "error": str(error)}


def _show(session: Session, message: Message, forwarded: Mapping[str, Any] | None) -> None:
    event = _read(message)
    data = event.get("event_data")
    job = data if isinstance(data, Mapping) else {}
    words = [cell(event.get("created_at")), cell(event.get("event_type"))]
    words += [cell(job[name]) for name in ("video_translate_id", "output_language", "status") if job.get(name)]
    words.append(f"[{cell(message.id)}]")
    if forwarded is not None:
        words.append(f"-> {forwarded['status'] or cell(forwarded['error'])}")
    session.output.show({"cursor": message.id, "event": event, "forwarded": forwarded}, "  ".join(words))


def _read(message: Message) -> Mapping[str, Any]:
    try:
        event = json.loads(message.data)
    except (ValueError, RecursionError):
        event = None
    return event if isinstance(event, Mapping) else {"unreadable": message.data}


def _signer(given: str | None) -> str:
    """Return the secret to sign with: the given one, that of the environment, or a new one."""
    from video_translation_client._signature import sign  # noqa: PLC0415 - see the package

    chosen = given or os.environ.get(SECRET_VARIABLE, "").partition(" ")[0]
    if not chosen:
        return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    try:
        sign(b"", secret=chosen, event_id="", timestamp=0)
    except ValueError as error:
        raise click.UsageError(f"--secret cannot sign: {error}") from None
    return chosen
