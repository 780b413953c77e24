"""What the folklore about MAML's mini-ImageNet numbers rests on: one set of weights, tested in several ways.

`make ablations-miniimagenet` takes the authors' released weights; any weights of a mini-ImageNet cell will do. Each
variant changes one thing of the test: query images per class, batch norm's statistics, the number of tasks, the scale
of the inner loss. The training is never touched.
"""

import functools
import logging
import pathlib
import time

from maml_tf.cli import exit_codes, print_curves
from maml_tf.errors import UsageError
from reproduce.common import parse_arguments, spec_of, write_measurement
from reproduce.studies.authors_checkpoint import CELL, CHECKPOINT, read_released

NAME = "ablations_miniimagenet"
CELLS = [f"miniimagenet_5way_{shots}shot_maml{order}" for shots in (1, 5) for order in ("", "_first_order")]
QUERIES = (1, 5, 15)
STATISTICS_TASKS = 100  # training tasks whose forward passes give the running statistics


def running_statistics(learner, params, episodes):
    """What moving averages would have converged to: batch norm's statistics over all forward passes of training tasks.

    The passes of a meta-iteration: the support set before each inner step, the query set after the last.

    Returns:
        {layer name: (mean, variance)}, averages over passes.
    """
    import tensorflow as tf

    from maml_tf.meta.functional import functional_call
    from maml_tf.models.batch_norm import averaged_statistics, recorded_statistics
    from maml_tf.tasks import random

    @tf.function
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


def predict_with_support_statistics(model, params, support_x, query_x):
    """The query set normalised with the statistics of the support set: no query image helps another."""
    from maml_tf.meta.functional import functional_call
    from maml_tf.models.batch_norm import given_statistics, recorded_statistics

    with recorded_statistics() as statistics:
        functional_call(model, params, support_x)
    with given_statistics(statistics):
        return functional_call(model, params, query_x)


def predict_with_running_statistics(model, statistics, params, _, query_x):
    """The query set normalised with fixed statistics, as Keras does outside of training."""
    from maml_tf.meta.functional import functional_call
    from maml_tf.models.batch_norm import given_statistics

    with given_statistics(statistics):
        return functional_call(model, params, query_x)


def variants(experiment, params):
    """{name: (query images per class, tasks, inner step as a multiple of the paper's, predict)}."""
    model, learner = experiment.model, experiment.learner
    statistics = running_statistics(learner, params, experiment.distribution)
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


def scores_of(experiment, params):
    """Tests the weights in every way; yields (variant's name, accuracies in percent [tasks, steps + 1])."""
    from maml_tf.evaluation.stepwise import Evaluation
    from maml_tf.meta.losses import accuracy
    from maml_tf.tasks import random

    spec = experiment.spec
    for name, (queries, tasks, scale, predict) in variants(experiment, params).items():
        evaluation = Evaluation(
            experiment.learner,
            experiment.episodes("test", queries),
            accuracy,
            num_steps=spec.evaluation.steps,
            eval_batch_size=spec.block(spec.evaluation.tasks),  # also of ten times as many tasks
            predict=predict,
        )
        step_size = scale * spec.inner.step_size
        yield name, 100 * evaluation(params, seed=random.TEST_TASKS, num_tasks=tasks, step_size=step_size)


def main():
    parser = parse_arguments(__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=pathlib.Path, default=CHECKPOINT, help="the authors' weights")
    parser.add_argument("--weights", type=pathlib.Path, metavar="FILE.npz", help="weights of ours in place of them")
    parser.add_argument("--cell", choices=CELLS, default=CELL, help=f"whose test it is; {CELL} by default")
    arguments = parser.parse_args()

    from maml_tf.experiments.run import build_experiment, summarise
    from maml_tf.runtime import configure_runtime
    from maml_tf.tasks.image_set import file_sha256
    from maml_tf.training.checkpoint import as_params, read_weights

    configure_runtime()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # warns of retracing: every variant is its own function
    if arguments.cell != CELL and arguments.weights is None:
        raise UsageError(f"--cell {arguments.cell}: the authors' weights are of {CELL}; name others by --weights")
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
        print_curves(NAME, {name: curves[name]})
    result, origin = NAME, {"from": "the authors' released checkpoint"}
    if arguments.weights:  # a result of its own: NAME's is the README's table
        result = f"{NAME}_{arguments.weights.resolve().parent.name}_{arguments.weights.stem}"
        origin = {"from": arguments.weights.name, "sha256": file_sha256(arguments.weights)}
    settings = {"weights": origin}
    write_measurement(result, spec.profile, started, experiment.data, curves=curves, settings=settings)


if __name__ == "__main__":
    with exit_codes():
        main()
