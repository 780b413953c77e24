"""The keys that choose a method after MAML reach the learner, and contradictions are refused with the key's name."""

import pytest
from helpers import SPECS

from maml_tf.errors import UsageError
from maml_tf.experiments.registry import experiment_class
from maml_tf.experiments.spec import read_spec

PLUS_PLUS = SPECS / "beyond" / "omniglot_20way_1shot_maml_plus_plus.yaml"


def test_every_part_of_maml_plus_plus_reaches_the_learner():
    spec = read_spec(PLUS_PLUS, "cpu")
    learner = experiment_class(spec).build_learner(spec)
    assert (learner.multi_step_loss, learner.first_order_iterations) == (200, 1066)
    assert learner.norm_statistics
    names = learner.param_names
    for name in ("conv_1/step_sizes", "norm_4/gamma/after_steps", "norm_1/running_mean", "meta_iterations"):
        assert name in names
    assert (spec.meta.schedule, spec.meta.final_learning_rate) == ("cosine", 0.00001)


@pytest.mark.parametrize(
    ("path", "changes", "message"),
    [
        (PLUS_PLUS, {"inner.update": "meta_sgd"}, "inner.update: not allowed with maml_plus_plus.step_sizes"),
        (PLUS_PLUS, {"inner.first_order": True}, "first_order_iterations: not allowed with inner.first_order"),
        (PLUS_PLUS, {"maml_plus_plus.multi_step_loss": -1}, "maml_plus_plus: multi_step_loss: -1 is not allowed"),
        (PLUS_PLUS, {"maml_plus_plus.msl": 3}, "maml_plus_plus: unknown key 'msl'; allowed are multi_step_loss"),
        (PLUS_PLUS, {"model.kernel_stddev": 0.0}, "model: kernel_stddev: 0.0 is not allowed"),
        (
            SPECS / "beyond" / "sinusoid_maml_lslr.yaml",
            {"maml_plus_plus.norm_weights": True},
            "norm_weights and norm_statistics need model.batch_norm",
        ),
        (
            SPECS / "beyond" / "sinusoid_maml_lslr.yaml",
            {"maml_plus_plus.step_sizes": False},
            "maml_plus_plus: all of its parts are off",
        ),
        (SPECS / "sinusoid_maml.yaml", {"model.norm_scale": True}, "norm_scale: not allowed without batch_norm"),
        (
            SPECS / "beyond" / "sinusoid_reptile.yaml",
            {"inner.optimizer": "adamw"},
            "inner.optimizer: 'adamw' is not allowed; expected one of 'adam', 'sgd'",
        ),
        (SPECS / "beyond" / "sinusoid_reptile.yaml", {"inner.mini_batch": 0}, "mini_batch: 0 is not allowed"),
        (SPECS / "beyond" / "sinusoid_reptile.yaml", {"inner.step_size": 0.0}, "inner.step_size: 0 is not allowed"),
    ],
)
def test_contradictions_are_refused(path, changes, message):
    with pytest.raises(UsageError, match=message):
        read_spec(path, changes=changes)
