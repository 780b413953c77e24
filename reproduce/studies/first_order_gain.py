"""The share of a meta-iteration's time that the first-order approximation saves on mini-ImageNet.

The paper says "roughly 33 %" of the network computation (section 5.2). Both orders run in turns in one process, and the
medians are compared. `make first-order-gain`.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

from maml_tf.cli import exit_codes
from maml_tf.experiments.spec import ExperimentSpec
from reproduce.studies.study import spec_of, study_parser, write_study

NAME = "first_order_gain"
ROUNDS, ITERATIONS = 9, 2  # of timing, and meta-iterations in each


def timed_loop(spec: ExperimentSpec, arguments: argparse.Namespace) -> tuple[Callable[[], float], dict]:
    """(function that runs meta-iterations of a spec and returns the seconds of one, origin of the data)."""
    import tensorflow as tf

    from maml_tf.experiments.run import build_experiment
    from maml_tf.training.adam import Adam, TrainingState
    from maml_tf.training.loop import compiled_loop

    experiment = build_experiment(spec, spec.seeds[0], arguments.data)
    loop = compiled_loop(
        experiment.learner,
        experiment.tasks,
        Adam(spec.meta.learning_rate),
        batch_size=spec.meta.batch_size,
        seed=(spec.seeds[0], 0),
        gradient_clip=spec.meta.gradient_clip,
    )
    state = TrainingState.start(experiment.learner.initial_params())

    def seconds():
        started = time.monotonic()
        loop(state, tf.constant(ITERATIONS))[1].numpy()
        return (time.monotonic() - started) / ITERATIONS

    seconds()  # traces and compiles
    return seconds, experiment.data


def main() -> int:
    arguments = study_parser(__doc__.splitlines()[0]).parse_args()
    from maml_tf.runtime import configure_runtime
    from reproduce.compare import compare_some

    configure_runtime()
    started, settings = time.monotonic(), {}
    for shots in (1, 5):
        cell = f"miniimagenet_5way_{shots}shot_maml"
        specs = [spec_of(name, arguments) for name in (cell, f"{cell}_first_order")]
        (second, data), (first, _) = (timed_loop(spec, arguments) for spec in specs)
        times = [(second(), first()) for _ in range(ROUNDS)]
        medians = [statistics.median(column) for column in zip(*times, strict=True)]
        settings[f"{shots}_shot"] = {
            "second_order_seconds": round(medians[0], 4),
            "first_order_seconds": round(medians[1], 4),
            "saved": round(statistics.median(1 - f / s for s, f in times), 3),
        }
        print(f"{shots}-shot: {settings[f'{shots}_shot']}")
    write_study(NAME, arguments, started=started, data=data, settings=settings)
    return compare_some(["first_order_speed"], arguments.runs)


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
