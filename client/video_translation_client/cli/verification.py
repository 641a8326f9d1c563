"""The command `verify`: checks the signature of a delivery that was saved to files.

The checking itself is the client's, the same as in a receiver.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import click

from video_translation_client.cli import exits
from video_translation_client.cli.session import Session, shared_options

SECRET_VARIABLE: Final = "VIDEO_TRANSLATION_WEBHOOK_SECRET"  # noqa: S105 - a name, no secret
_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


@click.command()
@click.argument("body", type=_FILE)
@click.option("--headers", "file", type=_FILE, help="A file of `Name: value` lines, or a JSON object.")
@click.option("-H", "--header", "given", multiple=True, metavar="'NAME: VALUE'", help="A header; repeatable.")
@click.option(
    "--secret", "secrets", multiple=True, metavar="SECRET", help=f"whsec_, whsk_ or whpk_. [{SECRET_VARIABLE}]"
)
@click.option("--tolerance", type=click.FloatRange(min=0), default=300.0, help="Seconds of age. Default: 300.")
@click.option("--ignore-time", is_flag=True, help="Check the signature alone: for a delivery that was kept.")
@shared_options
@click.pass_obj
def verify(
    session: Session,
    /,
    *,
    body: str,
    file: str | None,
    given: tuple[str, ...],
    secrets: tuple[str, ...],
    tolerance: float,
    ignore_time: bool,
) -> int:
    """Check a saved delivery: BODY is the file with its raw bytes (- reads stdin).

    Exits with 0 when the delivery is genuine, and with 1 and the reason when it is not.
    """
    from video_translation_client._errors import WebhookVerificationError  # noqa: PLC0415 - see the package
    from video_translation_client._signature import Keyring  # noqa: PLC0415 - as above

    headers = (_read_headers(file) if file else {}) | _read_lines(given)
    keyring = Keyring(_secrets(secrets), tolerance=math.inf if ignore_time else tolerance)
    with click.open_file(body, "rb") as stream:
        content = stream.read()
    try:
        family = keyring.verify(content, headers, now=time.time()).family
        event = _read_event(content)
    except WebhookVerificationError as error:
        hint = "; --ignore-time checks the signature alone" if error.reason == "timestamp_out_of_tolerance" else ""
        record = {"valid": False, "reason": error.reason, "message": str(error)}
        session.output.show(record, f"invalid: {error.reason}: {error}{hint}")
        return exits.FAILED
    record = {"valid": True, "family": family, **event}
    session.output.show(record, f"valid ({family}): {event['event_id']} {event['event_type']}")
    return exits.COMPLETED


def _secrets(given: tuple[str, ...]) -> tuple[str, ...]:
    from video_translation_client._signature import check_secret  # noqa: PLC0415 - see the package

    found = given or tuple(os.environ.get(SECRET_VARIABLE, "").split())
    if not found:
        raise click.UsageError(f"no secret to verify with: give --secret, or set {SECRET_VARIABLE}")
    for secret in found:
        check_secret("--secret", secret)
    return found


def _read_headers(file: str) -> dict[str, str]:
    with click.open_file(file, encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    if not text.lstrip().startswith("{"):
        return _read_lines(text.splitlines())
    try:
        found = json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"{file} is neither `Name: value` lines nor a JSON object: {error}") from None
    return {str(name): str(value) for name, value in found.items()}


def _read_lines(lines: Iterable[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _read_event(content: bytes) -> Mapping[str, Any]:
    from video_translation_client._errors import WebhookVerificationError  # noqa: PLC0415 - see the package
    from video_translation_client._models import read_event  # noqa: PLC0415 - as above

    try:
        event = read_event(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise WebhookVerificationError(f"signed, but no event: {error}", reason="malformed_body") from error
    return {"event_id": event.id, "event_type": event.type, "video_translate_id": event.job.id or None}
