"""A classification experiment that takes seconds: a small network on sinusoids in place of the images."""

import dataclasses
import pathlib

import numpy as np

from maml_tf.experiments.base import CompiledExperiment
from maml_tf.experiments.spec import ExperimentSpec, read_spec
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import MLP
from maml_tf.tasks.sinusoid import SinusoidTasks

NAME = "omniglot_5way_1shot_nonconv"
SPECS = pathlib.Path(__file__).resolve().parents[1] / "reproduce" / "specs"
# For `monkeypatch.setattr(FewShotSpec, "implementation", IMPLEMENTATION)`.
IMPLEMENTATION = f"{__name__}:SmallExperiment"


class SmallExperiment(CompiledExperiment):
    """Its scores are arithmetic on the parameters, so that only the training is compiled."""

    def __init__(self, spec, seed, data_folder=None):
        super().__init__(spec, seed, data_folder)
        self.model = MLP(1, (4,), 1)
        self.learner = MAML(self.model, mean_squared_error, spec.inner.step_size, spec.inner.train_steps)
        self.tasks = SinusoidTasks(5, 5)

    def validate(self, params):
        return -abs(float(params[0][0, 0]) - 0.003)

    def evaluate(self, checkpoint, run_dir=None):
        def scores(params):
            return np.outer(np.arange(60), np.resize(params[0], 11))

        curves = {"1_shot": scores(checkpoint.params), "1_shot_last_model": scores(checkpoint.state.params)}
        return curves, {"best_iteration": checkpoint.best_iteration}


def small_spec(seeds: tuple[int, ...] = (1, 2), iterations: int = 6, **meta) -> ExperimentSpec:
    """A classifier's spec as it is, but for a few iterations, validated every two."""
    spec = read_spec(SPECS / f"{NAME}.yaml")
    return dataclasses.replace(
        spec,
        seeds=seeds,
        iterations_asked=iterations,
        meta=dataclasses.replace(spec.meta, iterations=iterations, **meta),
        validation=dataclasses.replace(spec.validation, every=2),
    )
