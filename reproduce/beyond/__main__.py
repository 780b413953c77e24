"""The comparison of MAML with later methods: trains the columns that are named, then shows table and figure.

python -m reproduce.beyond                     # the table from the results there are
python -m reproduce.beyond sinusoid            # trains the sinusoid's specs that have no result, then the table
python -m reproduce.beyond --publish           # copies your results into the published record (maintainers)
"""

import argparse
import os
import shutil
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from maml_tf._io import atomic_write
from maml_tf.cli import add_training_options, exit_codes, spec_from, train_and_evaluate_from
from maml_tf.errors import UsageError
from maml_tf.experiments.results import read_results, result_path
from reproduce import paths
from reproduce.beyond.rows import COST, beyond_store, read_methods, result_of, spec_path
from reproduce.beyond.table import FIGURE, figure, table
from reproduce.comparison.integrity import check_publishable


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("columns", nargs="*", help=f"what to train: {', '.join(read_methods().columns)}")
    parser.add_argument("--publish", action="store_true", help="copy your results into the published record")
    add_training_options(parser)
    parser.set_defaults(runs=paths.RUNS, data=paths.DATA)
    arguments = parser.parse_args()
    own = paths.own_store(arguments.runs)
    for name in arguments.columns:
        _train(name, arguments, own)
    stores = (own, paths.PUBLISHED)
    text = table(stores)
    print(text)
    path = beyond_store(own).comparison / "beyond.md"
    with atomic_write(path) as file:
        file.write(text)
    drawing = figure(stores)
    if drawing is not None:
        from reproduce.comparison.figures import save

        save(drawing, own.figures / f"{FIGURE}.png")
        print(f"drawn: {os.path.relpath(own.figures / f'{FIGURE}.png', paths.ROOT)}")
    if arguments.publish:
        for path in publish(own, paths.PUBLISHED):
            print(f"published: {os.path.relpath(path, paths.ROOT)}")
    return 0


def _train(name: str, arguments: argparse.Namespace, own: paths.Store) -> None:
    """Trains and tests the specs of a column that have no result yet."""
    from maml_tf.runtime import configure_runtime

    methods = read_methods()
    if name not in methods.columns:
        raise UsageError(f"{name!r} is not allowed; expected one of {', '.join(methods.columns)}")
    column = methods.columns[name]
    arguments.profile = column.profile
    chosen = [row.specs[name] for row in methods.rows if name in row.specs]
    specs = {spec: spec_from(spec_path(spec), arguments) for spec in chosen}  # a mistake in one is found before all
    configure_runtime()
    for spec_name, spec in specs.items():
        if result_of(spec_name, column, (own, paths.PUBLISHED)) is None:
            store = beyond_store(own)
            train_and_evaluate_from(spec, arguments, results=store.results, weights=store.checkpoints)


def publish(own: paths.Store, published: paths.Store) -> list[str]:
    """Copies the results of `specs/beyond` with their weights, the costs and the figure; returns what was copied.

    Raises:
        UsageError: see `check_publishable`. Then nothing is copied.
    """
    source, target, copies = beyond_store(own), beyond_store(published), []
    for name, result in read_results(source.results).items() if source.results.is_dir() else ():
        path = result_path(name, result.profile, source.results)
        check_publishable(result, path, source.checkpoints)
        copies.append((path, result_path(name, result.profile, target.results)))
        copies += [(source.checkpoints / weights, target.checkpoints / weights) for weights in result.weights]
    for there, here in (
        (source.comparison / COST, target.comparison / COST),
        (own.figures / f"{FIGURE}.png", published.figures / f"{FIGURE}.png"),
    ):
        if there.exists():
            copies.append((there, here))
    for there, here in copies:
        here.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(there, here)
    return [str(here) for _, here in copies]


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
