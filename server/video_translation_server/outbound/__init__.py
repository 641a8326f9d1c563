"""The only place that opens outgoing sockets: a guard over addresses, a sender of one POST, and a fetcher of files.

Callers see `Sender` and `Outcome`; which HTTP engine works behind them is nobody else's business.
"""

from video_translation_server.outbound.fetch import Fetcher
from video_translation_server.outbound.guard import AddressPolicy, check_url
from video_translation_server.outbound.http1 import Http1Sender
from video_translation_server.outbound.resolver import PoolResolver, Resolver
from video_translation_server.outbound.sender import Sender

__all__ = ["AddressPolicy", "Fetcher", "Http1Sender", "PoolResolver", "Resolver", "Sender", "check_url"]
