"""What the generated pages are made from: the published result files and the paper's numbers."""

import dataclasses
import functools
import pathlib

from maml_tf.experiments.results import Result, result_path
from reproduce import paths
from reproduce.comparison import load_comparison
from reproduce.comparison.known_failures import KnownFailure
from reproduce.comparison.targets import Targets
from reproduce.comparison.verdicts import Comparison, Row

ROOT = pathlib.Path(__file__).resolve().parents[3]


@dataclasses.dataclass(frozen=True)
class Record:
    """The published record.

    Attributes:
        root: the repository.
        targets: the paper's numbers and claims (reproduce/targets.yaml).
        results: the published results by spec.
        known_failures: those of reproduce/known_failures.yaml.
        comparison: a verdict for each target and claim.
    """

    root: pathlib.Path
    targets: Targets
    results: dict[str, Result]
    known_failures: tuple[KnownFailure, ...]
    comparison: Comparison

    @functools.cached_property
    def rows(self) -> dict[str, Row]:
        """The rows of targets and claims by id."""
        return {row.target.id: row for row in self.comparison.all_rows}

    def path_of(self, result: Result) -> pathlib.Path:
        """The file of a published result."""
        return result_path(result.spec, result.profile, self.root / "reproduce" / "results")


def read_record(root: pathlib.Path = ROOT) -> Record:
    """Reads the published record of a repository; UsageError names a file or key that is wrong."""
    folder = root / "reproduce"
    comparison = load_comparison(
        dataclasses.replace(paths.PUBLISHED, results=folder / "results"),
        targets=folder / "targets.yaml",
        known_failures=folder / "known_failures.yaml",
        peers=folder / "peers.yaml",
        authors=folder / "authors_returns.json",
        specs=folder / "specs",
    )
    return Record(root, comparison.targets, dict(comparison.results), comparison.known_failures, comparison)
