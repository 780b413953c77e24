"""One set of mini-ImageNet weights, tested in several ways: how much a number depends on the way of testing.

`make ablations-miniimagenet` tests the authors' released weights; weights of any mini-ImageNet cell can be given. Each
variant changes one thing of the test: the query images per class, the statistics of batch norm, the number of tasks or
the scale of the inner loss. Nothing is trained.
"""

import functools
import logging
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from maml_tf.cli import exit_codes, print_curves
from maml_tf.errors import UsageError
from maml_tf.experiments.spec import BOTH_SETS
from reproduce.studies.authors_checkpoint import CELL, CHECKPOINT, read_released
from reproduce.studies.study import spec_of, study_parser, write_study

if TYPE_CHECKING:
    import tensorflow as tf

    from maml_tf.meta.maml import MAML
    from maml_tf.tasks.base import TaskDistribution

    Params = list[tf.Tensor]

NAME = "ablations_miniimagenet"
CELLS = [f"miniimagenet_5way_{shots}shot_maml{order}" for shots in (1, 5) for order in ("", "_first_order")]
QUERIES = (1, 5, 15)
STATISTICS_TASKS = 100  # training tasks that the running statistics are taken from


def running_statistics(
    learner: "MAML", params: "Params", episodes: "TaskDistribution"
) -> dict[str, tuple["tf.Tensor", "tf.Tensor"]]:
    """The limit of moving averages: batch norm's statistics over the forward passes of training tasks.

    A meta-iteration passes the support set before each inner step, and the query set after the last one.

    Returns:
        {layer name: (mean, variance)}, averages over passes.
    """
    import tensorflow as tf

    from maml_tf.meta.functional import functional_call
    from maml_tf.models.batch_norm import averaged_statistics, recorded_statistics
    from maml_tf.tasks import random

    @tf.function(autograph=False)
    def of_one_task(support_x, support_y, query_x):
        passes = []
        *before, adapted = learner.adapted_params(params, support_x, support_y)
        for p, x in [*((p, support_x) for p in before), (adapted, query_x)]:
            with recorded_statistics() as statistics:
                functional_call(learner.model, p, x)
            passes.append(statistics)
        return averaged_statistics(passes)

    batch = episodes.sample(tf.constant(random.TUNING_TASKS), STATISTICS_TASKS)
    of_tasks = [of_one_task(batch.support_x[t], batch.support_y[t], batch.query_x[t]) for t in range(STATISTICS_TASKS)]
    return averaged_statistics(of_tasks)


def predict_with_support_statistics(model: Any, params: "Params", support_x: "tf.Tensor", query_x: "tf.Tensor"):
    """Logits of the query set, normalised with the statistics of the support set. No query image affects another."""
    from maml_tf.meta.functional import functional_call
    from maml_tf.models.batch_norm import given_statistics, recorded_statistics

    with recorded_statistics() as statistics:
        functional_call(model, params, support_x)
    with given_statistics(statistics):
        return functional_call(model, params, query_x)


def predict_with_running_statistics(model: Any, statistics: dict, params: "Params", _, query_x: "tf.Tensor"):
    """Logits of the query set, normalised with fixed statistics, as Keras does outside of training."""
    from maml_tf.meta.functional import functional_call
    from maml_tf.models.batch_norm import given_statistics

    with given_statistics(statistics):
        return functional_call(model, params, query_x)


def variants(experiment: Any, params: "Params") -> dict[str, tuple[int, int, float, Callable | None]]:
    """{name: (query images per class, tasks, factor of the paper's inner step, predict function or None)}."""
    model, learner = experiment.model, experiment.learner
    statistics = running_statistics(learner, params, experiment.tasks)
    from_support = functools.partial(predict_with_support_statistics, model)
    from_running = functools.partial(predict_with_running_statistics, model, statistics)
    tasks, K = experiment.spec.evaluation.tasks, experiment.spec.tasks.test_queries
    return {
        "protocol": (K, tasks, 1.0, None),
        **{f"queries_{queries}": (queries, tasks, 1.0, None) for queries in QUERIES if queries != K},
        "statistics_of_the_support_set": (K, tasks, 1.0, from_support),
        "running_statistics": (K, tasks, 1.0, from_running),
        "mean_inner_loss": (K, tasks, 1 / experiment.spec.tasks.ways, None),
        "tasks_6000": (K, 10 * tasks, 1.0, None),
    }


def scores_of(experiment: Any, params: "Params") -> Iterator[tuple[str, np.ndarray]]:
    """Yields (name, accuracies in percent [tasks, steps + 1]) of every variant."""
    from maml_tf.evaluation.stepwise import Evaluation
    from maml_tf.meta.losses import accuracy
    from maml_tf.tasks import random

    spec = experiment.spec

    @functools.cache  # compiled once for the variants that share it
    def evaluation(queries: int, predict: Callable | None) -> Evaluation:
        return Evaluation(
            experiment.learner,
            experiment.episodes("test", queries),
            accuracy,
            num_steps=spec.evaluation.steps,
            eval_batch_size=spec.block(spec.evaluation.tasks),  # the same for ten times as many tasks
            predict=predict,
        )

    for name, (queries, tasks, scale, predict) in variants(experiment, params).items():
        scores = evaluation(queries, predict)(
            params, seed=random.TEST_TASKS, num_tasks=tasks, step_size=scale * spec.inner.step_size
        )
        yield name, 100 * scores


def main() -> None:
    parser = study_parser(__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=pathlib.Path, default=CHECKPOINT, help="the authors' weights")
    parser.add_argument("--weights", type=pathlib.Path, metavar="FILE.npz", help="our own weights in place of them")
    parser.add_argument("--cell", choices=CELLS, default=CELL, help=f"the cell of the weights; default: {CELL}")
    arguments = parser.parse_args()

    from maml_tf.experiments.run import build_experiment, summarise
    from maml_tf.runtime import configure_runtime
    from maml_tf.tasks.image_set import file_sha256
    from maml_tf.training.weights import as_params, read_weights

    configure_runtime()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of retracing, but each variant is a function
    if arguments.cell != CELL and arguments.weights is None:
        raise UsageError(f"--cell {arguments.cell}: the authors' weights are of {CELL}; give others by --weights")
    spec = spec_of(arguments.cell, arguments)
    released = None if arguments.weights else read_released(arguments.checkpoint)
    experiment = build_experiment(spec, spec.seeds[0], arguments.data)
    if released:
        params = as_params(released, experiment.model, arguments.checkpoint)
    else:
        params = read_weights(arguments.weights, experiment.model)

    started, curves = time.monotonic(), {}
    for name, scores in scores_of(experiment, params):
        curves[name] = summarise([scores])
        print_curves(NAME, {name: curves[name]}, BOTH_SETS)
    result, origin = NAME, {"from": "the authors' released checkpoint"}
    if arguments.weights:  # the result NAME is of the authors' weights
        result = f"{NAME}_{arguments.weights.resolve().parent.name}_{arguments.weights.stem}"
        origin = {"from": arguments.weights.name, "sha256": file_sha256(arguments.weights)}
    write_study(result, arguments, started=started, data=experiment.data, curves=curves, settings={"weights": origin})


if __name__ == "__main__":
    with exit_codes():
        main()
