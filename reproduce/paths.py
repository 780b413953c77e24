"""Where things are in this repository: specs, the published record, and what a user's own runs write."""

import dataclasses
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
SPECS = HERE / "specs"
TARGETS = HERE / "targets.yaml"
PEERS = HERE / "peers.yaml"
AUTHORS_RETURNS = HERE / "authors_returns.json"
KNOWN_FAILURES = HERE / "known_failures.yaml"
GATE = HERE / "gate.yaml"
RUNS = ROOT / "runs"
DATA = ROOT / "data" / "prepared"


@dataclasses.dataclass(frozen=True)
class Store:
    """A place of result files with the weights and figures that belong to them."""

    results: pathlib.Path
    checkpoints: pathlib.Path
    figures: pathlib.Path
    videos: pathlib.Path
    comparison: pathlib.Path  # the folder of comparison.md and comparison.json


def own_store(runs: pathlib.Path) -> Store:
    """Where a user's own runs write, below their folder of runs."""
    return Store(runs / "results", runs / "checkpoints", runs / "figures", runs / "videos", runs)


# The published record. Only `make publish` writes there.
PUBLISHED = Store(
    HERE / "results", HERE / "checkpoints", HERE / "results" / "figures", HERE / "results" / "videos", HERE / "results"
)
YOURS = own_store(RUNS)
