"""What the scripts of the tables and figures share: each of them declares a Reproduction."""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from maml_tf.cli import add_training_options, exit_codes, print_curves, spec_from, train_and_evaluate_from
from maml_tf.errors import UsageError
from reproduce import paths

if TYPE_CHECKING:
    import matplotlib.figure

    from maml_tf.experiments.results import Result
    from maml_tf.experiments.run import Trained
    from maml_tf.experiments.spec import ExperimentSpec


class Run:
    """Some specs, trained and tested: what figures are drawn from.

    Args:
        arguments: the parsed options of a script.

    Attributes:
        results: {spec name: Result}.
    """

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.store = paths.own_store(arguments.runs)
        self.results: dict[str, Result] = {}

    def spec(self, name: str) -> "ExperimentSpec":
        """The spec `specs/<name>.yaml` under the chosen profile and seeds."""
        return spec_from(paths.SPECS / f"{name}.yaml", self.arguments)

    def train_and_evaluate(self, name: str) -> "Result":
        """Trains and tests a spec, unless this code has done so before."""
        where = {"results": self.store.results, "weights": self.store.checkpoints}
        self.results[name] = train_and_evaluate_from(self.spec(name), self.arguments, **where)
        return self.results[name]

    def trained(self, name: str) -> "Trained":
        """The first seed of a spec that `train_and_evaluate` has trained."""
        from maml_tf.experiments.run import train

        spec = self.spec(name)
        return train(spec, spec.seeds[0], runs_folder=self.arguments.runs, data_folder=self.arguments.data)

    def save(self, figure: "matplotlib.figure.Figure", name: str) -> None:
        """Writes a figure below the folder of runs: `figures/<name>.png`, of other profiles `figures/<profile>/...`."""
        from reproduce.comparison.figures import save

        profile = self.arguments.profile
        folder = self.store.figures if profile == "paper" else self.store.figures / profile
        save(figure, folder / f"{name}.png")
        print(f"drawn: {os.path.relpath(folder / f'{name}.png', paths.ROOT)}")


@dataclasses.dataclass(frozen=True)
class Figure:
    """A picture of some specs' results.

    Attributes:
        name: of its PNG file.
        specs: what it shows.
        draw: function of a Run that has trained and evaluated `specs`.
    """

    name: str
    specs: tuple[str, ...]
    draw: Callable[[Run], "matplotlib.figure.Figure"]


class Reproduction:
    """One table or figure of the paper: its specs are trained, its figures drawn, its targets and claims judged.

    Args:
        *labels: what the entries of targets.yaml have in `where`: "Table 1".
        specs: names of files in specs/.
        optional: further specs. They are trained only when they are named, and shown from the published results.
        figures: drawn when all their specs have been evaluated.
        judged: ids of claims and of further targets.
    """

    def __init__(
        self,
        *labels: str,
        specs: Sequence[str],
        optional: Sequence[str] = (),
        figures: Sequence[Figure] = (),
        judged: Sequence[str] = (),
    ):
        self.labels = labels
        self.specs = tuple(specs)
        self.optional = tuple(optional)
        self.figures = tuple(figures)
        self.judged = tuple(judged)

    def main(self, description: str | None) -> None:
        """The command line; ends with an exit code of maml_tf/errors.py."""
        with exit_codes():
            sys.exit(self.run(self._parser(description).parse_args()))

    def run(self, arguments: argparse.Namespace) -> int:
        """Trains, draws and compares; returns the gate's exit code for the specs that are named, or all."""
        from reproduce.compare import compare_some

        chosen = self.chosen(arguments.specs)
        if not arguments.table:
            self._train_and_draw(chosen, Run(arguments))
        return compare_some(self.shown(chosen if arguments.specs else None), arguments.runs)

    def chosen(self, names: Sequence[str]) -> tuple[str, ...]:
        """The specs that are, or begin with, one of `names`; without names all but the optional ones."""
        if not names:
            return self.specs
        chosen = []
        for name in names:
            fitting = [name] if name in self._all() else [spec for spec in self._all() if spec.startswith(name)]
            if not fitting:
                raise UsageError(f"{name!r} is not allowed; expected names or beginnings of {', '.join(self._all())}")
            chosen += [spec for spec in fitting if spec not in chosen]
        return tuple(chosen)

    def shown(self, specs: Sequence[str] | None = None) -> list[str]:
        """The ids of this table or figure: those that `specs` answer, or all with the cited ones, then `judged`."""
        from maml_tf.experiments.spec import read_spec
        from reproduce.comparison.measurements import sources
        from reproduce.comparison.targets import read_targets

        shown = [
            target
            for target in read_targets(paths.TARGETS).entries
            if any(label in target.where for label in self.labels)
        ]
        if specs is not None:
            answered = {id_ for name in specs for id_ in read_spec(paths.SPECS / f"{name}.yaml").targets}
            shown = [target for target in shown if answered.issuperset(sources(target))]
        return [*(target.id for target in shown), *self.judged]

    def _parser(self, description):
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument(
            "specs", nargs="*", metavar="SPEC", help=f"names or beginnings of {', '.join(self._all())}; default: all"
        )
        parser.add_argument("--table", action="store_true", help="train nothing, print the results that there are")
        add_training_options(parser)
        parser.set_defaults(runs=paths.RUNS, data=paths.DATA)
        return parser

    def _train_and_draw(self, specs, run):
        from maml_tf.runtime import configure_runtime

        for name in specs:  # a mistake in one spec is found before another is trained for hours
            run.spec(name)
        configure_runtime()
        for name in specs:
            print_curves(f"{name},", run.train_and_evaluate(name).curves, run.spec(name).columns)
        for figure in self.figures:
            if run.results.keys() >= set(figure.specs):
                run.save(figure.draw(run), figure.name)

    def _all(self):
        return (*self.specs, *self.optional)
