"""The real `serve` in this process, with a probe that notes when each transaction's COMMIT begins and ends.

A transition's log line is no measure of it: what was recorded is sent before the line is written.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import uvloop

from video_translation_server import logs
from video_translation_server.serve import bind, serve
from video_translation_server.settings import Settings


def main() -> None:
    """`python -m benchmarks.watched FILE SETTINGS`: serve until SIGTERM, then write the instants as JSON."""
    file, given = Path(sys.argv[1]), sys.argv[2]
    settings = Settings.model_validate_json(given)
    logs.configure(level=settings.log_level, form=settings.log_format, file=settings.log_file)
    listening = bind(settings)
    noted: dict[str, list[float]] = {"before commit": [], "after commit": []}

    def probe(point: str) -> None:
        if point in noted:
            noted[point].append(time.time())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, listening, probe=probe))
    file.write_text(json.dumps(noted), encoding="utf-8")


if __name__ == "__main__":
    main()
