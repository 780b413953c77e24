"""The result files of the benchmarks, with where each measurement is from."""

import json
import os
import pathlib
import time
from typing import Any

from maml_tf._io import atomic_write
from maml_tf.cli import command_line
from maml_tf.experiments.provenance import provenance

RESULTS = pathlib.Path(__file__).resolve().parent / "results"


def origin_of(module: str) -> dict[str, Any]:
    """The provenance of a measurement: commit, packages, hardware, date and the command `python -m module`."""
    return provenance() | {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "command": command_line("-m", module),
    }


def write_measurement(path: str | os.PathLike, content: dict[str, Any]) -> None:
    """Writes a result file, whole or not at all."""
    with atomic_write(path) as file:
        json.dump(content, file, indent=1, allow_nan=False)
        file.write("\n")
