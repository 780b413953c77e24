"""Makes results of your own runs the published record: `make publish SPEC=name`. For maintainers.

Copies each result with its weights, figures and videos from the folder of runs, and writes comparison.md,
comparison.json and, if more is judged than before, gate.yaml again. Nothing else changes the published record.
"""

import argparse
import dataclasses
import hashlib
import pathlib
import shutil
import sys
from collections.abc import Iterator, Sequence

from maml_tf._io import atomic_write
from maml_tf.cli import exit_codes
from maml_tf.errors import UsageError
from maml_tf.experiments.results import Result, result_path
from reproduce import paths
from reproduce.compare import write_comparison
from reproduce.comparison import load_comparison
from reproduce.comparison.gate import Judged, judged_by_published, read_expected, write_expected
from reproduce.comparison.integrity import check_publishable
from reproduce.comparison.verdicts import Comparison, compare
from reproduce.index import reproductions
from reproduce.reproduction import Figure


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("specs", nargs="*", metavar="SPEC", help="names of specs or studies; none: only the comparison")
    parser.add_argument("--runs", type=pathlib.Path, default=paths.RUNS, help="where your own results are")
    arguments = parser.parse_args()
    for line in publish(arguments.specs, paths.own_store(arguments.runs), paths.PUBLISHED, paths.GATE):
        print(line)
    return 0


def publish(names: Sequence[str], yours: paths.Store, published: paths.Store, gate: pathlib.Path) -> Iterator[str]:
    """Copies results into the published record and rewrites the comparison; yields what it did.

    Everything is checked before the first file is copied.

    Args:
        names: of the results.
        yours, published: from where, and to where.
        gate: the file gate.yaml.

    Raises:
        UsageError: a result is missing or wrong, was measured by uncommitted code, or its weights are not there.
    """
    before = load_comparison(published, yours)
    results = {name: _publishable(name, before, yours, published) for name in dict.fromkeys(names)}
    compare(before.targets, {**before.results, **results})  # raises where two results answer one target
    for name, result in results.items():
        _copy(result_path(name, result.profile, yours.results), result_path(name, result.profile, published.results))
        if result.weights:
            _copy_weights(name, result, yours.checkpoints, published.checkpoints)
        yield f"published: {name} ({result.profile})"
    for figure in _figures():
        if results.keys() & set(figure.specs):
            yield _publish_figure(figure, yours, published)
    for name in results:
        for film in sorted(yours.videos.glob(f"{name.removesuffix('_maml')}_goal_*.gif")):
            _copy(film, published.videos / film.name)
            yield f"published: {film.name}"
    comparison = load_comparison(published)
    write_comparison(comparison, published.comparison)
    yield from _raise_gate(judged_by_published(comparison), gate)


def _publishable(name, comparison: Comparison, yours, published) -> Result:
    """Your result of a name, if it may be published."""
    if (paths.SPECS / "beyond" / f"{name}.yaml").exists():
        raise UsageError(
            f"{name!r} is not allowed: `python -m reproduce.beyond --publish` publishes results of specs/beyond"
        )
    if name not in comparison.own_results:
        there = ", ".join(comparison.own_results) or "none"
        raise UsageError(f"{name!r} is not allowed; expected one of the results in {yours.results}: {there}")
    result = comparison.own_results[name]
    path = result_path(name, result.profile, yours.results)
    check_publishable(result, path, yours.checkpoints)
    known = comparison.results.get(name)
    if known is not None and _precedence(known) > _precedence(result):
        raise UsageError(
            f"{path}: a result of the profile {result.profile!r} after {result.iterations_done} iterations does not "
            f"replace the published one, {known.profile!r} after {known.iterations_done}"
        )
    return result


def _precedence(result):
    """Paper results come before the half-way mark, that one before other partial results, and of those the longer."""
    return {"paper": 2, "half": 1}.get(result.profile, 0), result.iterations_done


def _copy_weights(name, result, source, target):
    """Replaces the folder of a spec's weights: no file of another training stays in it."""
    for weights in result.weights:
        _copy(source / weights, target / weights)
    for file in (target / name).iterdir():
        if f"{name}/{file.name}" not in result.weights:
            file.unlink()


def _publish_figure(figure: Figure, yours, published):
    """Copies a figure if it shows published results only; says what it did."""
    source = yours.figures / f"{figure.name}.png"
    if not source.exists():
        return f"{figure.name} stays: there is no {source}"
    for spec in figure.specs:
        own, theirs = (result_path(spec, "paper", store.results) for store in (yours, published))
        if not (own.exists() and theirs.exists() and _sha256(own) == _sha256(theirs)):
            return f"{figure.name} stays: it shows {spec}, and your result of that is not the published one"
    _copy(source, published.figures / source.name)
    return f"published: {figure.name}"


def _figures() -> Iterator[Figure]:
    for reproduction in reproductions().values():
        yield from reproduction.figures


def _raise_gate(judged: Judged, gate: pathlib.Path) -> Iterator[str]:
    """The gate never expects less than before."""
    before = read_expected(gate)
    raised = Judged(*map(max, zip(dataclasses.astuple(before), dataclasses.astuple(judged), strict=True)))
    if raised != before:
        write_expected(gate, raised)
        yield f"{gate.name}: {raised.targets} targets, {raised.claims} claims"


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    with open(source, "rb") as read, atomic_write(target, "wb") as written:
        shutil.copyfileobj(read, written)


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
