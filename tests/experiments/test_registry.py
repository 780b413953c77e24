"""The open lists: a data set, a network, a method, adaptable weights, an inner update and an environment from files
of one's own are trained and tested as a spec names them. Only the file and the spec are new."""

import importlib
import sys

import numpy as np
import pytest
import yaml

from maml_tf.errors import UsageError
from maml_tf.experiments.registry import EXPERIMENTS, built_in_experiments, register
from maml_tf.experiments.run import train_and_evaluate
from maml_tf.experiments.spec import read_spec
from maml_tf.meta.adaptable import ADAPTABLE
from maml_tf.meta.inner_updates import INNER_UPDATES
from maml_tf.methods import register_all
from maml_tf.models.factory import NETWORKS
from maml_tf.rl.envs.registry import ENVIRONMENTS
from maml_tf.tasks.datasets import DATASETS

pytestmark = pytest.mark.usefixtures("eagerly")

DATA_SET = '''
import dataclasses
import numpy as np
from maml_tf.tasks.datasets import DATASETS, ImageTaskSpec
from maml_tf.tasks.image_set import ImageSet


@DATASETS.register("stripes")
@dataclasses.dataclass(frozen=True, kw_only=True)
class StripeTasks(ImageTaskSpec):
    """Each class has stripes of its own width."""

    image_shape = (8, 8, 1)

    noise: int  # a key that this data set adds

    def load(self, data_folder):
        rng = np.random.default_rng(0)

        def images(classes):
            stripes = 255 * ((np.arange(8) // np.arange(1, classes + 1)[:, None]) % 2)
            images = np.broadcast_to(stripes[:, None, None, :, None], (classes, 6, 8, 8, 1))
            return np.clip(images + rng.integers(0, self.noise, images.shape), 0, 255).astype(np.uint8)

        source = {"name": "stripes", "origin": "drawn"}
        return {
            split: ImageSet(images(classes), tuple(map(str, range(classes))), source)
            for split, classes in (("train", 4), ("validation", 3), ("test", 3))
        }
'''

NETWORK = """
import dataclasses
from maml_tf.models.factory import NETWORKS, NetworkSpec


@NETWORKS.register("keras_mlp")
@dataclasses.dataclass(frozen=True, kw_only=True)
class KerasSpec(NetworkSpec):
    units: int

    def build(self, input_shape, outputs):
        import keras

        layers = [keras.layers.Flatten(), keras.layers.Dense(self.units, "tanh"), keras.layers.Dense(outputs)]
        return keras.Sequential([keras.Input(input_shape), *layers])
"""

LAST_KERNEL = """
from maml_tf.meta.adaptable import ADAPTABLE


@ADAPTABLE.register("last_kernel")
def last_kernel(variable):
    return variable.path.endswith("output/kernel")
"""

LEARNED_FACTORS = """
import tensorflow as tf
from maml_tf.meta.inner_updates import INNER_UPDATES, InnerUpdate


@INNER_UPDATES.register("learned_factors")
class LearnedFactors(InnerUpdate):
    def initial_params(self, weights, step_size):
        return {f"{name}/step_size": tf.fill(tf.shape(weight), step_size) for name, weight in weights.items()}

    def __call__(self, weights, gradients, own, step_size, step):
        step_sizes = iter(own)
        return [w if g is None else w - next(step_sizes) * g for w, g in zip(weights, gradients, strict=True)]
"""

METHOD = """
import dataclasses
from maml_tf.experiments.few_shot import FewShotExperiment
from maml_tf.experiments.few_shot_spec import FewShotSpec
from maml_tf.experiments.registry import register


@register("image_classification", "no_adaptation", implementation=f"{__name__}:NoAdaptation")
@dataclasses.dataclass(frozen=True, kw_only=True)
class NoAdaptationSpec(FewShotSpec):
    chosen: str  # a key that this method adds


class NoAdaptation(FewShotExperiment):
    @staticmethod
    def build_learner(spec):
        inner = dataclasses.replace(spec.inner, adaptable="all_but_norm_offsets", step_size=0.0)
        return FewShotExperiment.build_learner(dataclasses.replace(spec, inner=inner))

    def evaluate(self, checkpoint, run_dir=None):
        scores, settings = super().evaluate(checkpoint, run_dir)
        return scores, settings | {"chosen": self.spec.chosen}
"""

ENVIRONMENT = """
import numpy as np
import maml_tf as mt


@mt.rl.register("line", horizon=5, gymnasium_id="maml_tf/Line-v0", title="a line")
class Line(mt.rl.TaskVectorEnv):
    goal_distribution = mt.rl.UniformGoals(-1.0, 1.0)

    def __init__(self, num_envs, max_episode_steps=5, reveal_task=False):
        super().__init__(num_envs, 1, 1, self.goal_distribution, max_episode_steps, reveal_task)
        self.positions = np.zeros((num_envs, 1))

    def _start(self, ids):
        self.positions[ids] = 0.0
        return self.positions[ids]

    def _advance(self, ids, actions):
        self.positions[ids] += 0.2 * actions
        distance = np.abs(self.positions[ids, 0] - self.goals[ids])
        never = np.zeros(len(ids), bool)
        return mt.rl.Outcome(self.positions[ids], -distance, never, never)
"""

STRIPES_SPEC = """
experiment: image_classification
method: maml
imports: [stripes]
tasks: {dataset: stripes, noise: 60, ways: 3, shots: 1, train_queries: 2, test_queries: 2}
model: {network: mlp, hidden: [6]}
inner: {step_size: 0.4, train_steps: 1}
meta: {iterations: 100, batch_size: 4, learning_rate: 0.01}
validation: {every: 1, tasks: 4, steps: 1}
evaluation: {tasks: 4, steps: 2}
seeds: [1]
targets: {}
profiles:
  smoke: {meta.iterations: 2}
"""

LINE_SPEC = """
experiment: reinforcement_learning
method: maml
imports: [line]
tasks: {environment: line, trajectories: 2}
model: {network: gaussian_policy, hidden: [4]}
inner: {step_size: 0.1, train_steps: 1}
meta: {iterations: 100, batch_size: 2, max_kl: 0.02}
evaluation: {tasks: 2, trajectories: 2, steps: 1, step_size: 0.1}
seeds: [1]
targets: {}
profiles:
  smoke: {meta.iterations: 2}
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A function that writes modules and a spec, and trains and tests the spec. What is registered is forgotten."""
    monkeypatch.syspath_prepend(str(tmp_path))
    built_in_experiments()
    register_all()
    for registry in (DATASETS, NETWORKS, ADAPTABLE, INNER_UPDATES, EXPERIMENTS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    for name in list(ENVIRONMENTS):
        monkeypatch.setitem(ENVIRONMENTS, name, ENVIRONMENTS[name])
    environments = set(ENVIRONMENTS)
    modules = set(sys.modules)

    def run(spec_text, changes=None, **sources):
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        importlib.invalidate_caches()
        spec = yaml.safe_load(spec_text)
        spec["imports"] = list(sources)
        for section, keys in (changes or {}).items():
            spec[section] = keys if isinstance(keys, str) else (spec.get(section) or {}) | keys
            if isinstance(keys, dict):
                spec[section] = {key: value for key, value in spec[section].items() if value is not None}
            elif keys == "":
                del spec[section]
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(spec), encoding="utf-8")
        folders = {f"{kind}_folder": tmp_path / kind for kind in ("runs", "results", "weights")}
        spec = read_spec(path, "smoke")
        return train_and_evaluate(spec, data_folder=tmp_path, command="a test", **folders), spec

    yield run
    for name in set(ENVIRONMENTS) - environments:
        del ENVIRONMENTS[name]
    for name in set(sys.modules) - modules:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in sys.modules[name].__file__:
            del sys.modules[name]


def weight_names(spec, tmp_path):
    with np.load(tmp_path / "runs" / "mine" / f"smoke-{spec.hash}" / "seed_1" / "state.npz") as state:
        return sum(key.startswith("params_") for key in state)


def test_a_data_set(written):
    result, spec = written(STRIPES_SPEC, stripes=DATA_SET)
    assert result.data["name"] == "stripes"
    assert set(result.curves) == {"1_shot", "1_shot_last_model"}
    assert spec.tasks.noise == 60


def test_a_network(written):
    result, spec = written(
        STRIPES_SPEC, {"model": {"network": "keras_mlp", "units": 5, "hidden": None}}, stripes=DATA_SET, nets=NETWORK
    )
    assert result.iterations_done == 2
    assert spec.model.units == 5


def test_a_choice_of_adaptable_weights(written, tmp_path):
    changes = {"inner": {"adaptable": "last_kernel"}}
    result, spec = written(STRIPES_SPEC, changes, stripes=DATA_SET, last_kernel=LAST_KERNEL)
    from maml_tf.experiments.few_shot import FewShotExperiment

    assert FewShotExperiment.build_learner(spec).adaptable == [False, False, True, False]
    assert np.isfinite(result.curves["1_shot"].mean).all()


def test_an_inner_update_with_parameters(written, tmp_path):
    result, spec = written(
        STRIPES_SPEC, {"inner": {"update": "learned_factors"}}, stripes=DATA_SET, learned_factors=LEARNED_FACTORS
    )
    assert weight_names(spec, tmp_path) == 4 + 4  # weights and their step sizes
    assert np.isfinite(result.curves["1_shot"].mean).all()


def test_a_method(written):
    result, _ = written(
        STRIPES_SPEC + "chosen: none\n", {"method": "no_adaptation"}, stripes=DATA_SET, no_adaptation=METHOD
    )
    assert result.settings["seed_1"]["chosen"] == "none"
    curve = result.curves["1_shot"].mean
    assert curve[1] == curve[2]  # after one and after two steps of size 0


def test_an_environment(written):
    result, _ = written(LINE_SPEC, line=ENVIRONMENT)
    assert len(result.curves["return"].mean) == 2


def test_a_name_that_is_taken_is_an_error():
    from maml_tf.experiments.few_shot_spec import FewShotSpec

    built_in_experiments()

    class Other(FewShotSpec):
        pass

    with pytest.raises(ValueError, match=r"experiment \('image_classification', 'maml'\) is registered already"):
        register("image_classification", "maml", implementation="somewhere:Else")(Other)


def test_a_module_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(STRIPES_SPEC.replace("imports: [stripes]", "imports: [no_such_module]"))
    with pytest.raises(UsageError, match=r"mine.yaml: imports: 'no_such_module' cannot be imported"):
        read_spec(path)
