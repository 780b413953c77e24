"""Model-Agnostic Meta-Learning (Finn, Abbeel, Levine, ICML 2017) in TensorFlow 2.

    import maml_tf as mt

    learner = mt.MAML(model, mt.losses.mean_squared_error, step_size=0.01, num_steps=1)
    checkpoint = mt.train(learner, tasks, iterations=2000, batch_size=25, learning_rate=0.001)
    adapted = learner.adapt(x, y, num_steps=5, params=checkpoint.params)
    scores = mt.evaluate(learner, tasks, params=checkpoint.params)

Everything below is loaded when it is first used.
"""

from typing import TYPE_CHECKING

from maml_tf._lazy import lazy_exports

__version__ = "0.1.0"

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "MAML": "maml_tf.meta.maml",
        "AdaptedModel": "maml_tf.meta.adapted_model",
        "adapt": "maml_tf.meta.inner_loop",
        "TaskBatch": "maml_tf.tasks.base",
        "TaskDistribution": "maml_tf.tasks.base",
        "train": "maml_tf.training.train",
        "Checkpoint": "maml_tf.training.checkpoint",
        "RayWorkers": "maml_tf.training.ray_workers",
        "evaluate": "maml_tf.evaluation.evaluate",
        "load": "maml_tf.experiments.load",
        "losses": "maml_tf.meta.losses:",
        "models": "maml_tf.models:",
        "tasks": "maml_tf.tasks:",
        "random": "maml_tf.tasks.random:",
        "rl": "maml_tf.rl:",
        "methods": "maml_tf.methods:",
    },
)

if TYPE_CHECKING:
    from maml_tf import methods as methods
    from maml_tf import models as models
    from maml_tf import rl as rl
    from maml_tf import tasks as tasks
    from maml_tf.evaluation.evaluate import evaluate as evaluate
    from maml_tf.experiments.load import load as load
    from maml_tf.meta import losses as losses
    from maml_tf.meta.adapted_model import AdaptedModel as AdaptedModel
    from maml_tf.meta.inner_loop import adapt as adapt
    from maml_tf.meta.maml import MAML as MAML
    from maml_tf.tasks import random as random
    from maml_tf.tasks.base import TaskBatch as TaskBatch
    from maml_tf.tasks.base import TaskDistribution as TaskDistribution
    from maml_tf.training.checkpoint import Checkpoint as Checkpoint
    from maml_tf.training.ray_workers import RayWorkers as RayWorkers
    from maml_tf.training.train import train as train
