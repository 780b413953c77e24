"""ANIL and BOIL: which weights they adapt, in models of this library, of Keras and in policies."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import SPECS, largest_difference

import maml_tf as mt
from maml_tf.errors import UsageError
from maml_tf.experiments.registry import experiment_class
from maml_tf.experiments.spec import read_spec
from maml_tf.meta.adaptable import chosen_weights
from maml_tf.rl.policy import GaussianPolicy

L = keras.layers


def functional():
    x = keras.Input((3,), name="x")
    hidden = L.BatchNormalization(name="norm")(L.Dense(4, name="body")(x))
    return keras.Model(x, L.Softmax()(L.Dense(2, name="head")(hidden)))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.head = L.Dense(2, name="head")
        self.body = L.Dense(4, name="body")
        self(np.zeros((1, 3), np.float32))

    def call(self, x):
        return self.head(self.body(x))


MODELS = {
    "mlp": (lambda: mt.models.MLP(1, (3, 3), 1, batch_norm=True), "output/"),
    "conv": (lambda: mt.models.OmniglotConv((8, 8, 1), 5, 2), "output/"),
    "context": (lambda: mt.models.WithContext(mt.models.MLP(3, (4,), 1), (1,), 2), "output/"),
    "functional": (functional, "head/"),
    "sequential": (lambda: keras.Sequential([keras.Input((3,)), L.Dense(4), L.Dense(2, name="head")]), "head/"),
    "policy": (lambda: GaussianPolicy(2, 2, (4,)), "dense_2/"),
}


@pytest.mark.parametrize("name", MODELS)
def test_anil_adapts_the_last_layer_and_boil_all_the_others(name):
    build, head = MODELS[name]
    model = build()
    anil, boil = (chosen_weights(model, c) for c in (mt.methods.output_layer, mt.methods.all_but_output_layer))
    for variable, in_anil, in_boil in zip(model.trainable_variables, anil, boil, strict=True):
        assert in_anil == (head in variable.path)
        assert in_boil == (not in_anil and variable.name not in ("beta", "gamma"))
    assert sum(anil) == 2


def test_the_last_layer_of_a_subclassed_model_is_the_last_one_that_was_made():
    model = Subclassed()
    chosen = chosen_weights(model, mt.methods.output_layer)
    assert [v.path.split("/")[-2] for v, on in zip(model.trainable_variables, chosen, strict=True) if on] == [
        "body"
    ] * 2


def test_models_without_one_output_layer_are_refused():
    x = keras.Input((3,))
    two = keras.Model(x, [L.Dense(1, name="a")(x), L.Dense(2, name="b")(x)])
    with pytest.raises(UsageError, match=r"adaptable: .* has the outputs a, b, so it has no one output layer"):
        mt.MAML(two, "mse", 0.1, 1, adaptable=mt.methods.output_layer)
    one = keras.Sequential([keras.Input((3,)), L.Dense(1, name="only")])
    for choice in (mt.methods.output_layer, mt.methods.all_but_output_layer):
        with pytest.raises(UsageError, match=r"all weights of .* are in its layer 'only'"):
            mt.MAML(one, "mse", 0.1, 1, adaptable=choice)


def test_the_adapted_weights_move_and_all_weights_have_a_meta_gradient():
    model = mt.models.MLP(1, (3,), 1, dtype="float64")
    rng = np.random.default_rng(0)
    theta = [tf.constant(rng.uniform(0.1, 1.0, v.shape)) for v in model.trainable_variables]
    batch = mt.TaskBatch(*(tf.constant(rng.normal(size=(2, n, 1))) for n in (4, 4, 3, 3)))
    found = {}
    for name in ("output_layer", "all_but_output_layer"):
        learner = mt.MAML(model, "mse", 0.1, 2, adaptable=getattr(mt.methods, name))
        moved = [
            bool(np.any(a != b))
            for a, b in zip(learner.adapt(batch[0][0], batch[1][0], params=theta).params, theta, strict=True)
        ]
        assert moved == ([False, False, True, True] if name == "output_layer" else [True, True, False, False])
        found[name] = learner.meta_gradient(theta, batch)[1]
        assert all(np.abs(g).max() > 0 for g in found[name])
    both = mt.MAML(model, "mse", 0.1, 2, adaptable=lambda variable: True).meta_gradient(theta, batch)[1]
    expected = mt.MAML(model, "mse", 0.1, 2).meta_gradient(theta, batch)[1]
    assert largest_difference(both, expected) <= 1e-13  # everything adapted: MAML
    assert largest_difference(found["output_layer"], expected) > 1e-3


@pytest.mark.parametrize("name", ["sinusoid_maml", "omniglot_20way_1shot_conv", "half_cheetah_direction_maml"])
def test_a_spec_chooses_them(name):
    spec = read_spec(SPECS / f"{name}.yaml", changes={"inner.adaptable": "output_layer"})
    learner = experiment_class(spec).build_learner(spec)
    adaptable = learner.policy.adaptable if spec.experiment == "reinforcement_learning" else learner.adaptable
    assert adaptable == [False] * (len(adaptable) - 2) + [True, True]


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "half_cheetah_direction_maml",
            {"inner.update": "meta_sgd"},
            "inner: update: 'meta_sgd' is not allowed for a po",
        ),
        ("half_cheetah_direction_maml", {"inner.adaptable": "context_vector"}, "use the method 'context_vector'"),
        (
            "half_cheetah_direction_pretrained",
            {"inner.adaptable": "output_layer"},
            "inner.adaptable: not allowed; 'pretr",
        ),
        ("half_cheetah_direction_context_vector", {"inner.adaptable": "output_layer"}, "adapts z alone"),
        ("sinusoid_pretrained", {"inner.adaptable": "output_layer"}, "inner.adaptable: not allowed; 'pretrained'"),
        ("sinusoid_pretrained", {"inner.update": "meta_sgd"}, "inner.update: not allowed; 'pretrained'"),
        ("sinusoid_maml", {"inner.adaptable": "context_vector"}, "needs model.context_size"),
        (
            "sinusoid_maml",
            {"inner.update": "adam"},
            "update: 'adam' is not allowed; expected one of 'gradient_descent'",
        ),
    ],
)
def test_a_choice_that_a_method_cannot_follow_is_refused(name, changes, message):
    with pytest.raises(UsageError, match=message):
        read_spec(SPECS / f"{name}.yaml", changes=changes)


def test_a_policy_with_a_context_vector_has_no_other_choice():
    with pytest.raises(UsageError, match="adaptable: not allowed with a context vector"):
        GaussianPolicy(2, 2, (4,), context_size=2, adaptable=mt.methods.output_layer)
