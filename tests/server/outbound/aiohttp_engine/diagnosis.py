"""What an attempt came to: aiohttp's exceptions and our own notes as one truthful `Outcome`.

It reads and names; sending, resending and logging are `sender`'s.
"""

import errno
import ssl

import aiohttp

from tests.server.outbound.aiohttp_engine.connection import Attempt, BlockedError, Phase, Wire
from video_translation_server.model import Outcome, OutcomeKind

_MAX_DETAIL = 300
_BEFORE_SENDING = frozenset(
    {OutcomeKind.REFUSED, OutcomeKind.CONNECT_TIMEOUT, OutcomeKind.CONNECT_FAILED, OutcomeKind.TLS}
)


def answered(attempt: Attempt, detail: str) -> Outcome:
    """The outcome of an attempt whose answer was read as far as it is wanted."""
    return _outcome(attempt, OutcomeKind.STATUS, detail)


def blocked(reason: str) -> Outcome:
    """The outcome of an attempt that the guard ended before anything was dialled."""
    return Outcome(kind=OutcomeKind.BLOCKED, detail=reason)


def tries_next_address(attempt: Attempt, outcome: Outcome) -> bool:
    """Whether nothing was sent and another address of the name is left to try."""
    return bool(attempt.waiting) and attempt.wire is None and outcome.kind in _BEFORE_SENDING


def expired(attempt: Attempt, deadline: float) -> Outcome:
    """The outcome of an attempt that ran into its deadline (seconds), by the phase it was in."""
    within = f"within the attempt's {deadline:g} s"
    if attempt.status is not None:
        return _outcome(attempt, OutcomeKind.SLOW_BODY, f"the answer's body did not end {within}")
    if attempt.wire is not None:
        came = "only a part of the answer's headers came" if attempt.wire.answered else "no answer came"
        return _outcome(attempt, OutcomeKind.READ_TIMEOUT, f"{came} {within}")
    if attempt.phase is Phase.RESOLVE:
        return _outcome(attempt, OutcomeKind.DNS, f"the name was not resolved {within}")
    return _not_connected(attempt, within)


def failed(attempt: Attempt, error: Exception, connect_timeout: float) -> Outcome:
    """The outcome of an attempt that aiohttp ended with an exception."""
    if isinstance(error, BlockedError):
        return blocked(str(error))
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return _outcome(attempt, OutcomeKind.DNS, f"the name was not resolved: {_words(error.os_error)}")
    if attempt.wire is not None:
        return _broken(attempt, attempt.wire)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return _not_connected(attempt, f"within {connect_timeout:g} s")
    return _unconnected(attempt, error)


def _not_connected(attempt: Attempt, within: str) -> Outcome:
    if attempt.phase is Phase.TLS:
        return _outcome(attempt, OutcomeKind.TLS, f"the TLS handshake did not end {within}")
    return _outcome(attempt, OutcomeKind.CONNECT_TIMEOUT, f"no connection {within}")


def _unconnected(attempt: Attempt, error: Exception) -> Outcome:
    """An error before the request could be sent."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    number = cause.errno if isinstance(cause, OSError) else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _outcome(attempt, OutcomeKind.TLS, f"certificate refused: {cause.verify_message}")
    if isinstance(cause, ssl.SSLError):
        return _outcome(attempt, OutcomeKind.TLS, f"TLS failed: {_words(cause)}")
    if attempt.phase is Phase.TLS:
        return _outcome(attempt, OutcomeKind.TLS, "the connection was closed during the TLS handshake")
    if number == errno.ECONNREFUSED:
        return _outcome(attempt, OutcomeKind.REFUSED, "the connection was refused")
    if number == errno.ETIMEDOUT:
        return _outcome(attempt, OutcomeKind.CONNECT_TIMEOUT, "the system gave up connecting")
    return _outcome(attempt, OutcomeKind.CONNECT_FAILED, f"no connection: {_words(cause)}")


def _broken(attempt: Attempt, wire: Wire) -> Outcome:
    """An error on the connection that carries the request."""
    if wire.malformed is not None:
        # Only the first line: the others quote the offending bytes with a pointer below them.
        words = wire.malformed.message.partition("\n")[0].rstrip(":")
        return _outcome(attempt, OutcomeKind.PROTOCOL, f"the answer is not valid HTTP: {words}")
    if isinstance(wire.lost, ssl.SSLError):
        # With TLS 1.3 the server may refuse our side after the handshake has ended for us.
        return _outcome(attempt, OutcomeKind.TLS, f"TLS failed: {_words(wire.lost)}")
    if attempt.status is not None:
        where = "in the middle of the answer's body"
    elif wire.answered:
        where = "in the middle of the answer's headers"
    else:
        where = "before any byte of the answer"
    return _outcome(attempt, OutcomeKind.RESET, f"the connection was closed {where}")


def _words(error: BaseException) -> str:
    """The system's own words for an error, without numbers and class names."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _outcome(attempt: Attempt, kind: OutcomeKind, detail: str) -> Outcome:
    if attempt.failures and kind is not OutcomeKind.STATUS:
        detail = "; ".join([detail, *attempt.failures])
    return Outcome(
        kind=kind,
        status=attempt.status,
        detail=detail[:_MAX_DETAIL],
        retry_after=attempt.retry_after,
        body=bytes(attempt.body),
        address=attempt.address,
    )
