"""What the benchmarks share on their surface: options, medians and percentiles, tables on stderr, JSON on stdout.

The last line on stdout is one JSON object, which is also kept under benchmarks/results/ (not in version control).
"""

import argparse
import dataclasses
import json
import math
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from benchmarks.child import ROOT

Options = TypeVar("Options")

RESULTS = ROOT / "benchmarks" / "results"

console = Console(stderr=True)
if not console.is_terminal:
    console.width = 120  # what is read in a file is not cut to a terminal's 80


def option(default: Any, help_: str) -> Any:
    """A field of a benchmark's options, with what it means."""
    return dataclasses.field(default=default, metadata={"help": help_})


def options(cls: type[Options], description: str, given: Sequence[str] | None = None) -> Options:
    """Read the command line: one flag per field, of the type of its default."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        flag = "--" + field.name.replace("_", "-")
        if field.default is False:
            parser.add_argument(flag, action="store_true", help=field.metadata["help"])
        else:
            parser.add_argument(flag, type=type(field.default), default=field.default, help=field.metadata["help"])
    return cls(**vars(parser.parse_args(given)))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all do not exceed."""
    return sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]


def spread_ms(seconds: Sequence[float]) -> dict[str, Any]:
    """Latencies in seconds as p50, p99 and max in milliseconds."""
    return {
        "count": len(seconds),
        "p50_ms": percentile(seconds, 50) * 1000,
        "p99_ms": percentile(seconds, 99) * 1000,
        "max_ms": max(seconds) * 1000,
    }


def medians(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Field by field the median over rounds; also within fields that are mappings of numbers."""
    merged: dict[str, Any] = {}
    for name, value in rounds[0].items():
        values = [one[name] for one in rounds if name in one]
        merged[name] = medians(values) if isinstance(value, Mapping) else statistics.median(values)
    return merged


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on stderr; the first column is text, the others are numbers."""
    made = Table(title=title, title_justify="left")
    for index, name in enumerate(head):
        made.add_column(name, justify="left" if index == 0 else "right")
    for row in rows:
        made.add_row(*(f"{cell:,.1f}" if isinstance(cell, float) else str(cell) for cell in row))
    console.print(made)


def finish(name: str, result: dict[str, Any], folder: str, *, details: Sequence[str] = ()) -> None:
    """Keep the result, and print it as the last line, without those fields that are details."""
    shown = {field: value for field, value in result.items() if field not in details}
    line = json.dumps(_rounded(shown), separators=(",", ":"))
    where = Path(folder) if folder else RESULTS
    where.mkdir(parents=True, exist_ok=True)
    kept = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "python": platform.python_version()}
    (where / f"{name}.json").write_text(json.dumps(kept | _rounded(result), indent=1) + "\n", encoding="utf-8")
    print(line, flush=True)


def _rounded(value: Any) -> Any:
    """Four significant digits: more would be a claim."""
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return value
