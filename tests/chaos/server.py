"""A server process that kills itself: the real `serve`, with a probe that pulls the plug at a named point.

The harness says by argument where and on which pass; the product has no switch for it.
"""

import argparse
import asyncio
import os
import signal
import sys
import threading

import uvloop

from tests.chaos.plan import POINTS
from video_translation_server import logs
from video_translation_server.probe import Probe, unobserved
from video_translation_server.serve import bind, serve
from video_translation_server.settings import Settings


def plug(point: str, passes: int) -> Probe:
    """A probe that ends this process by SIGKILL when it passes `point` for the `passes`th time."""
    left = passes

    def pull(name: str) -> None:
        nonlocal left
        if name != point:
            return
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return pull


def end_with_the_harness() -> None:
    """End this process when stdin does, so that a harness that dies leaves nothing behind."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    """Serve with the settings given as JSON, until SIGTERM or the plug."""
    parser = argparse.ArgumentParser()
    parser.add_argument("settings", help="the server's settings as JSON")
    parser.add_argument("--point", choices=POINTS)
    parser.add_argument("--passes", type=int, default=1)
    arguments = parser.parse_args()
    end_with_the_harness()
    settings = Settings.model_validate_json(arguments.settings)
    logs.configure(level=settings.log_level, form=settings.log_format, file=settings.log_file)
    probe = plug(arguments.point, arguments.passes) if arguments.point else unobserved
    listening = bind(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, listening, probe=probe))


if __name__ == "__main__":
    main()
