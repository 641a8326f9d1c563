"""Thin adapters that put the receiver core behind a web framework; each module needs its framework only.

They move bytes; what a request means is decided by the receiver.
"""
