"""Trainings that differ from the protocol in one thing."""

import dataclasses
import pathlib

from reproduce.comparison.pages.markdown import duration, number, shown_seeds, table
from reproduce.comparison.pages.record import Record
from reproduce.comparison.pages.runs import link_to


@dataclasses.dataclass(frozen=True)
class Variant:
    """A training that differs from the protocol: its spec, what differs, the curve and the steps to show."""

    spec: str
    what: str
    curve: str
    steps: tuple[int, ...]


VARIANTS = {
    "classification": [
        Variant(
            "omniglot_5way_1shot_context_vector_all_weights",
            "context vector with all weights adapted, z among them, as the authors' old code does (PROTOCOL 2.7)",
            "1_shot",
            (3,),
        ),
    ],
    "sinusoid": [
        Variant(
            "sinusoid_maml_alpha_0.001",
            "MAML with an inner step of 0.001, the default of the authors' code; K = 5",
            "5_shot",
            (1, 5, 10),
        ),
    ],
    "reinforcement-learning": [
        Variant(
            "point_navigation_random_relu",
            "2D navigation, random policy with ReLU units, as the other policies have them",
            "return",
            (0, 1, 2, 3, 4),
        ),
        Variant(
            "point_navigation_maml_likelihood_ratio",
            "2D navigation, likelihood ratio in the inner loss",
            "return",
            (0, 1, 2, 3, 4),
        ),
        Variant(
            "point_navigation_context_vector_z_2",
            "2D navigation, context vector of 2 numbers, as many as in the authors' code (PROTOCOL 2.7)",
            "return",
            (0, 1, 2, 3, 4),
        ),
        Variant(
            "point_navigation_context_vector_z_alone",
            "2D navigation, context vector of 2 numbers, meta-trained alone as in the authors' code (PROTOCOL 2.7)",
            "return",
            (0, 1, 2, 3, 4),
        ),
        Variant(
            "point_navigation_context_vector_z_2",
            "2D navigation, context vector of 2 numbers in place of 5, everything meta-trained",
            "return",
            (0, 1, 2, 3, 4),
        ),
        Variant(
            "half_cheetah_velocity_maml_likelihood_ratio",
            "half-cheetah, goal velocity, likelihood ratio in the inner loss",
            "return",
            (0, 1, 2, 3),
        ),
        Variant(
            "half_cheetah_direction_maml_likelihood_ratio",
            "half-cheetah, forward or backward, likelihood ratio, KL limit 0.02, 100 iterations",
            "return",
            (0, 1, 2, 3),
        ),
        Variant(
            "half_cheetah_direction_maml_kl_0.02",
            "half-cheetah, forward or backward, log-likelihood, KL limit 0.02, 100 iterations",
            "return",
            (0, 1, 2, 3),
        ),
        Variant(
            "half_cheetah_direction_random_half_step",
            "half-cheetah, forward or backward, random arm, half of the step at every step (PROTOCOL 5, row 24)",
            "return",
            (0, 1, 2, 3),
        ),
        Variant(
            "half_cheetah_direction_pretrained_half_step",
            "half-cheetah, forward or backward, pretrained arm, half of the step at every step (PROTOCOL 5, row 24)",
            "return",
            (0, 1, 2, 3),
        ),
        Variant(
            "ant_velocity_oracle_2000_iterations",
            "ant, goal velocity, the oracle after 2000 iterations",
            "return",
            (0,),
        ),
        Variant(
            "ant_direction_maml",
            "ant, forward or backward, later gradient steps of 0.01 times the first (PROTOCOL 4.5)",
            "return_later_steps_x0.01",
            (0, 1, 2, 3),
        ),
    ],
}


def variants(record: Record, page: pathlib.Path, name: str) -> str:
    """Results of trainings that differ from the protocol in one thing. They are informational."""
    rows = []
    for variant in VARIANTS[name]:
        result = record.results.get(variant.spec)
        if result is None:  # not published yet
            continue
        curve = result.curves[variant.curve]
        steps = " / ".join(map(str, variant.steps))
        values = " / ".join(number(curve.mean[step], 3) for step in variant.steps)
        iterations = f"{result.iterations_done} of {result.iterations_asked}" if result.iterations_asked else "—"
        time = duration(result.wall_seconds)
        rows.append(
            [variant.what, steps, values, iterations, shown_seeds(result.seeds), time, link_to(record, page, result)]
        )
    return table(["variant", "steps", "measured", "iterations", "seeds", "time", "result file"], rows)
