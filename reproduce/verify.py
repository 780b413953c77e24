"""Tests a sample of the committed weights again and compares with the published results. `make verify`.

Every number is computed from the weight file, on the test tasks of the result: all tasks of the sinusoid and of 2D
navigation, 100 of the 600 of Omniglot where it is prepared, and the locomotion policies with few trajectories.

Exit codes: 0 all agree, 1 not, 2 wrong usage or a damaged file.
"""

import argparse
import dataclasses
import pathlib
import sys
from collections.abc import Iterator

import numpy as np

from maml_tf.cli import exit_codes
from maml_tf.errors import EXIT_OUTSIDE_TOLERANCE, EXIT_WITHIN_TOLERANCE, DataMissingError, UsageError
from maml_tf.evaluation.intervals import half_width_95
from maml_tf.experiments.results import Result, read_result
from maml_tf.experiments.spec import ExperimentSpec, read_spec
from reproduce import paths

# One spec of every kind of network and experiment, the small ones.
SAMPLE = (
    "sinusoid_maml",
    "sinusoid_pretrained",
    "sinusoid_oracle",
    "sinusoid_multitask_l2_reg",
    "omniglot_5way_1shot_nonconv",
    "omniglot_5way_1shot_conv",
    "point_navigation_maml",
    "point_navigation_context_vector",
    "half_cheetah_direction_maml",
)
IMAGE_TASKS = 100
# Processors round differently; an error that adaptation amplifies differs by this share.
ROUNDING = 0.01


@dataclasses.dataclass(frozen=True)
class Check:
    """One curve of one seed: `now` and `published` [steps + 1], and the differences that are allowed."""

    name: str
    now: np.ndarray
    published: np.ndarray
    allowed: np.ndarray

    @property
    def agrees(self) -> bool:
        return bool((np.abs(self.now - self.published) <= self.allowed).all())


def reduced(spec: ExperimentSpec) -> ExperimentSpec:
    """The spec with a smaller test, whose tasks are the first ones of the whole test.

    A policy is tested on all goals with all trajectories: fewer trajectories would make its gradient steps worse.
    """
    if spec.experiment != "image_classification":
        return spec
    tasks = min(IMAGE_TASKS, spec.evaluation.tasks)
    return dataclasses.replace(spec, evaluation=dataclasses.replace(spec.evaluation, tasks=tasks))


def checks_of(
    spec: ExperimentSpec, result: Result, seed: int, weights: pathlib.Path, data: pathlib.Path
) -> Iterator[Check]:
    """Tests a weight file and compares every curve of the result that this test has."""
    from maml_tf.experiments.run import build_experiment
    from maml_tf.training.adam import TrainingState
    from maml_tf.training.checkpoint import Checkpoint
    from maml_tf.training.weights import read_weights

    test = reduced(spec)
    experiment = build_experiment(test, seed, data)
    scores, _ = experiment.evaluate(Checkpoint(TrainingState.start(read_weights(weights, experiment.learner))))
    row = result.seeds.index(seed)
    for name in sorted(scores.keys() & result.curves.keys()):
        published = np.asarray(result.curves[name].per_seed[row])
        now = scores[name].mean(axis=0, dtype=np.float64)
        allowed = ROUNDING * np.abs(published) + 1e-6
        # What chance explains, three times over: of fewer tasks, and of physics that amplifies the last bits.
        if test is not spec or (
            spec.experiment == "reinforcement_learning" and spec.tasks.environment != "point_navigation"
        ):
            allowed = allowed + 1.5 * (half_width_95(scores[name]) + np.asarray(result.curves[name].ci95))
        finite = np.isfinite(published)  # an error that has diverged says nothing
        yield Check(f"{spec.name}, seed {seed}, {name}", *(values[finite] for values in (now, published, allowed)))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("specs", nargs="*", metavar="NAME", help=f"specs; default: {', '.join(SAMPLE)}")
    parser.add_argument("--all-seeds", action="store_true", help="every seed; by default the first one")
    parser.add_argument("--data", type=pathlib.Path, default=paths.DATA)
    arguments = parser.parse_args()
    for name in arguments.specs:
        if not (paths.PUBLISHED.checkpoints / name).is_dir():
            there = ", ".join(sorted(path.name for path in paths.PUBLISHED.checkpoints.iterdir()))
            raise UsageError(f"{name}: no weights of it are committed; there are those of {there}")
    from maml_tf.runtime import configure_runtime

    configure_runtime()
    failed = tested = 0
    for name in arguments.specs or SAMPLE:
        spec = read_spec(paths.SPECS / f"{name}.yaml")
        result = read_result(paths.PUBLISHED.results / f"{name}.json")
        for seed in result.seeds if arguments.all_seeds else result.seeds[:1]:
            weights = paths.PUBLISHED.checkpoints / name / f"seed_{seed}.npz"
            try:
                checks = list(checks_of(spec, result, seed, weights, arguments.data))
            except DataMissingError as error:
                print(f"skipped  {name}: {error}; tests/pins tests these weights on made-up images")
                continue
            for check in checks:
                tested += 1
                failed += not check.agrees
                last = check.now[-1], check.published[-1], check.allowed[-1]
                print("{:8} {}: {:.4g}, published {:.4g} ± {:.2g}".format(
                    "agrees" if check.agrees else "DIFFERS", check.name, *last
                ), flush=True)  # fmt: skip
    print(f"{tested - failed} of {tested} curves agree with the published results")
    return EXIT_OUTSIDE_TOLERANCE if failed or not tested else EXIT_WITHIN_TOLERANCE


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
