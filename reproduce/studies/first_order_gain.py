"""How much of a meta-iteration the first-order approximation saves on mini-ImageNet: the paper's "roughly 33 %" (5.2).

Both orders run in one process, turn by turn, and the medians are compared: `make first-order-gain`.
"""

import statistics
import sys
import time

from maml_tf.cli import exit_codes
from reproduce.common import parse_arguments, spec_of, write_measurement

NAME = "first_order_gain"
ROUNDS, ITERATIONS = 9, 2  # rounds of timing, meta-iterations in each


def timed_loop(spec, arguments):
    """A function that runs meta-iterations of a spec and returns the seconds of one."""
    import tensorflow as tf

    from maml_tf.experiments.run import build_experiment
    from maml_tf.training.adam import Adam, TrainingState
    from maml_tf.training.loop import compiled_loop

    experiment = build_experiment(spec, spec.seeds[0], arguments.data)
    loop = compiled_loop(
        experiment.learner,
        experiment.distribution,
        Adam(spec.meta.learning_rate),
        batch_size=spec.meta.batch_size,
        seed=(spec.seeds[0], 0),
        gradient_clip=spec.meta.gradient_clip,
        jit_compile=experiment.learner.task_execution.jit_compile,
    )
    state = TrainingState.start(experiment.initial_params)

    def seconds():
        started = time.monotonic()
        loop(state, tf.constant(ITERATIONS))[1].numpy()
        return (time.monotonic() - started) / ITERATIONS

    seconds()  # traced and compiled
    return seconds, experiment.data


def main():
    arguments = parse_arguments(__doc__.splitlines()[0]).parse_args()
    from maml_tf.runtime import configure_runtime
    from reproduce.compare import compare_only

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
    write_measurement(NAME, arguments.profile, started, data, settings=settings)
    return compare_only(["first_order_speed"])


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
