"""A HeyGen-v3-compatible video-translation server with durable, signed, ordered webhooks."""

__version__ = "0.1.0"
