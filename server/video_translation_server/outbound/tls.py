"""TLS as this sender wants it: verified by name, HTTP/1.1 only, sessions resumed.

It makes contexts; connecting with them is `dial`'s part.
"""

import ssl
from typing import Any, TypeVar

from video_translation_server.errors import InvalidError

_KEPT_SESSIONS = 1024
_Context = TypeVar("_Context", bound=ssl.SSLContext)


class ResumingContext(ssl.SSLContext):
    """Offers the session of the last connection to the same name: a resumed handshake costs a fraction.

    The event loops have no parameter for a session, but both ask the context for each new connection.
    """

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As the base class, with the session that is known for the name."""
        session = session or self._sessions().get(server_hostname)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def keep(self, server_hostname: str, session: ssl.SSLSession | None) -> None:
        """Resume this session with the next connection to the name."""
        if session is None or not session.has_ticket:
            return
        sessions = self._sessions()
        sessions.pop(server_hostname, None)
        sessions[server_hostname] = session
        while len(sessions) > _KEPT_SESSIONS:
            del sessions[next(iter(sessions))]

    def _sessions(self) -> dict[Any, ssl.SSLSession]:
        known: dict[Any, ssl.SSLSession] = self.__dict__.setdefault("_known", {})
        return known


def tls_context(ca_file: str | None, kind: type[_Context]) -> _Context:
    """A context that verifies certificate and name, by the system's roots and those of `ca_file`.

    Raises:
        InvalidError: `ca_file` cannot be read or holds no certificate.
    """
    context = kind(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if ca_file is None:
        return context
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as exc:
        raise InvalidError(
            f"the CA file {ca_file!r} cannot be used ({exc}); point it to a PEM file with certificates",
            param="ca_file",
        ) from exc
    return context
