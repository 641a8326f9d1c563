"""The receiver as a Flask view, for a service that the user runs already.

It moves bytes; what a request means is decided by the receiver.
"""

from __future__ import annotations

from collections.abc import Callable

from video_translation_client._receiver import MAX_BODY, METHODS, Receiver

try:
    import flask
    from werkzeug.exceptions import RequestEntityTooLarge
except ImportError as error:
    raise ImportError(
        "the Flask view needs Flask 3.1 or newer: pip install video-translation-client[flask]", name="flask"
    ) from error


def webhook_view(receiver: Receiver) -> Callable[[], flask.Response]:
    """Make a view that takes deliveries: `app.add_url_rule(DEFAULT_PATH, view_func=webhook_view(...))`.

    Args:
        receiver: `client.webhook_receiver`.
    """

    def deliver() -> flask.Response:
        request = flask.request
        try:
            # One byte more than the receiver takes, so that the refusal is its own; this also bounds chunked bodies.
            request.max_content_length = MAX_BODY + 1
            body = request.get_data()
        except RequestEntityTooLarge:
            reply = receiver.too_large()
        else:
            reply = receiver.handle(request.method, dict(request.headers), body)
        return flask.Response(reply.body, reply.status, reply.end_to_end)

    # What add_url_rule reads from a view: all methods come here, also the OPTIONS that Flask would answer itself.
    deliver.methods = METHODS  # type: ignore[attr-defined]
    deliver.provide_automatic_options = False  # type: ignore[attr-defined]
    deliver.__name__ = "video_translation_webhook"
    return deliver
