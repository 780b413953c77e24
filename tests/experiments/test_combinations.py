"""Every combination of experiment, method, network and section is built as it says, or refused with the key's name."""

import itertools

import pytest
import yaml
from helpers import SPECS

from maml_tf.baselines.joint_training import JointTraining
from maml_tf.errors import UsageError
from maml_tf.experiments.registry import EXPERIMENTS, built_in_experiments, experiment_class
from maml_tf.experiments.sinusoid import SinusoidExperiment
from maml_tf.experiments.spec import read_spec
from maml_tf.meta.maml import MAML
from maml_tf.methods import Reptile
from maml_tf.models.factory import NETWORKS
from maml_tf.rl.maml_adam import MAMLAdam
from maml_tf.rl.maml_trpo import MAMLTRPO

built_in_experiments()
# The spec whose sections a combination begins with, by experiment and method.
BASES = {
    ("sinusoid", "maml"): "sinusoid_maml",
    ("sinusoid", "pretrained"): "sinusoid_pretrained",
    ("sinusoid", "oracle"): "sinusoid_oracle",
    ("sinusoid", "multitask"): "sinusoid_multitask_l2_reg",
    ("image_classification", "maml"): "omniglot_5way_1shot_conv",
    ("image_classification", "context_vector"): "omniglot_5way_1shot_context_vector",
    ("image_classification", "supervised"): "miniimagenet_5way_baselines",
    ("image_classification", "reptile"): "beyond/omniglot_20way_1shot_reptile",
    ("sinusoid", "reptile"): "beyond/sinusoid_reptile",
    ("reinforcement_learning", "maml"): "point_navigation_maml",
    ("reinforcement_learning", "pretrained"): "point_navigation_pretrained",
    ("reinforcement_learning", "oracle"): "point_navigation_oracle",
    ("reinforcement_learning", "context_vector"): "point_navigation_context_vector",
    ("reinforcement_learning", "random"): "point_navigation_random",
}
EXPERIMENT_NAMES = sorted({experiment for experiment, _ in BASES})
METHODS = sorted({method for _, method in BASES})
SIZES = {
    "mlp": {"hidden": [4]},
    "omniglot_conv": {"filters": 2},
    "mini_imagenet_conv": {"filters": 2},
    "gaussian_policy": {"hidden": [4]},
}
ALLOWED_NETWORKS = {
    "sinusoid": {"mlp"},
    "image_classification": {"mlp", "omniglot_conv", "mini_imagenet_conv"},
    "reinforcement_learning": {"gaussian_policy"},
}
# What each method would leave unused or contradict, by dotted key.
CHANGES = {
    "tuned": {"inner.step_size": "tuned", "inner.step_grid": [0.01]},
    "alpha_0": {"inner.step_size": 0.0},
    "no_inner_step": {"inner.train_steps": 0},
    "inner_steps": {"inner.train_steps": 2},
    "first_order": {"inner.first_order": True},
    "likelihood_ratio": {"inner.likelihood_ratio": True},
    "revealed": {"tasks.reveal_task": True},
    "hidden_task": {"tasks.reveal_task": False},
    "goal_every_trajectory": {"tasks.goal_every": "trajectory"},
    "rotations": {"tasks.rotations": True},
    "context": {"model.context_size": 2},
    "no_context": {"model.context_size": 0},
    "batch_norm": {"model.batch_norm": True},
    "adaptable_context": {"inner.adaptable": "context_vector"},
    "adaptable_all": {"inner.adaptable": "all_but_norm_offsets"},
    "no_test_steps": {"evaluation.steps": 0},
    "chunks": {"meta.task_chunk": 2},
    "checkpointing": {"inner.gradient_checkpointing": True},
}
ADAPTING = {"maml", "context_vector"}


def written(folder, experiment, method, base, network=None, changes=()):
    """The spec file of a combination."""
    mapping = yaml.safe_load((SPECS / f"{base}.yaml").read_text(encoding="utf-8"))
    mapping |= {"experiment": experiment, "method": method, "targets": {}}
    mapping.pop("profiles")
    if network is not None:
        context = {key: value for key, value in mapping["model"].items() if key == "context_size"}
        mapping["model"] = {"network": network, **SIZES[network], **context}
    else:
        sizes = SIZES[mapping["model"]["network"]]
        mapping["model"] |= sizes
    for dotted, value in dict(changes).items():
        section, key = dotted.split(".")
        mapping.setdefault(section, {})[key] = value
    path = folder / "combination.yaml"
    path.write_text(yaml.safe_dump(mapping), encoding="utf-8")
    return path


def check_learner(spec):
    """Builds what adapts, and checks that it is what the spec says."""
    implementation = experiment_class(spec)
    if spec.method == "supervised":
        network = spec.model.build((84, 84, 3), 5)
        assert network.name
        return
    learner = implementation.build_learner(spec)
    if spec.experiment == "reinforcement_learning":
        assert type(learner) is (MAMLAdam if hasattr(getattr(spec, "meta", None), "learning_rate") else MAMLTRPO)
        assert learner.num_steps == (spec.inner.train_steps if spec.method in ADAPTING else 0)
        assert learner.policy.adaptable.count(True) == (
            1 if spec.method == "context_vector" else len(learner.param_names)
        )
        assert learner.objective.likelihood_ratio == spec.inner.likelihood_ratio
        return
    if spec.method == "reptile":
        assert type(learner) is Reptile
        assert (learner.num_steps, learner.step_size) == (spec.inner.train_steps, spec.inner.step_size)
        assert (learner.optimizer, learner.mini_batch) == (spec.inner.optimizer, spec.inner.mini_batch)
        return
    assert type(learner) is MAML
    if spec.inner.step_size != "tuned":
        assert learner.step_size == spec.inner.step_size
    assert learner.first_order == spec.inner.first_order
    adapted = {v.name for v, adapts in zip(learner.model.trainable_variables, learner.adaptable, strict=True) if adapts}
    only_context = "context_vector" in (spec.method, getattr(spec.inner, "adaptable", None))
    assert (adapted == {"context"}) == only_context
    if spec.method in ADAPTING:
        assert learner.num_steps == spec.inner.train_steps >= 1
        assert learner.step_size > 0
    if implementation is SinusoidExperiment:
        trained = implementation(spec, 1).learner
        assert type(trained) is (MAML if spec.method == "maml" else JointTraining)


def read_or_refused(path):
    """(the spec or None, "" or why it was refused)."""
    try:
        return read_spec(path), ""
    except UsageError as error:
        return None, str(error)


def test_the_table_has_every_experiment_and_network():
    ours = {pair for pair in EXPERIMENTS if EXPERIMENTS[pair].__module__.startswith("maml_tf.")}
    assert ours == set(BASES)
    assert {name for name in NETWORKS if NETWORKS[name].__module__.startswith("maml_tf.")} == set(SIZES)


@pytest.mark.parametrize(("experiment", "method"), [*itertools.product(EXPERIMENT_NAMES, METHODS)])
def test_every_method_and_network_is_built_or_refused(tmp_path, experiment, method):
    """A combination that is not registered is refused with the sections of every registered one."""
    known = (experiment, method) in BASES
    bases = [BASES[experiment, method]] if known else [BASES[pair] for pair in BASES if pair[0] == experiment]
    for base, network in itertools.product(bases, SIZES):
        path = written(tmp_path, experiment, method, base, network)
        spec, refusal = read_or_refused(path)
        assert spec is not None or refusal.startswith(f"{path}: ")
        allowed = known and network in ALLOWED_NETWORKS[experiment]
        if method == "supervised":
            allowed = allowed and network == "mini_imagenet_conv"
        assert (spec is not None) == allowed, (base, network)
        if spec is not None:
            check_learner(spec)


@pytest.mark.parametrize("pair", BASES, ids="-".join)
@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_section_is_built_or_refused(tmp_path, pair, change):
    experiment, method = pair
    spec, refusal = read_or_refused(written(tmp_path, experiment, method, BASES[pair], changes=CHANGES[change]))
    if spec is None:
        keys = [part for key in CHANGES[change] for part in key.split(".")]
        assert any(key in refusal for key in (*keys, "step_size"))
    else:
        check_learner(spec)


@pytest.mark.parametrize(
    ("pair", "change"),
    [
        (("sinusoid", "maml"), "tuned"),
        (("sinusoid", "maml"), "alpha_0"),
        (("sinusoid", "maml"), "no_inner_step"),
        (("sinusoid", "maml"), "revealed"),
        (("sinusoid", "pretrained"), "first_order"),
        (("sinusoid", "pretrained"), "inner_steps"),
        (("sinusoid", "pretrained"), "no_test_steps"),
        (("sinusoid", "oracle"), "hidden_task"),
        (("sinusoid", "multitask"), "batch_norm"),
        (("sinusoid", "multitask"), "context"),
        (("sinusoid", "multitask"), "first_order"),
        (("image_classification", "maml"), "adaptable_context"),
        (("image_classification", "maml"), "alpha_0"),
        (("image_classification", "context_vector"), "no_context"),
        (("image_classification", "context_vector"), "adaptable_all"),
        (("image_classification", "supervised"), "rotations"),
        (("image_classification", "supervised"), "context"),
        (("image_classification", "supervised"), "chunks"),
        (("image_classification", "reptile"), "chunks"),
        (("sinusoid", "reptile"), "chunks"),
        (("sinusoid", "reptile"), "alpha_0"),
        (("sinusoid", "reptile"), "revealed"),
        (("reinforcement_learning", "maml"), "context"),
        (("reinforcement_learning", "maml"), "goal_every_trajectory"),
        (("reinforcement_learning", "pretrained"), "likelihood_ratio"),
        (("reinforcement_learning", "pretrained"), "inner_steps"),
        (("reinforcement_learning", "oracle"), "hidden_task"),
        (("reinforcement_learning", "random"), "revealed"),
        (("reinforcement_learning", "random"), "inner_steps"),
        (("reinforcement_learning", "context_vector"), "no_context"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_what_a_method_would_ignore_is_refused(tmp_path, pair, change):
    spec, _ = read_or_refused(written(tmp_path, *pair, BASES[pair], changes=CHANGES[change]))
    assert spec is None
