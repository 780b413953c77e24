"""MAML for reinforcement learning (section 5.3, algorithm 3), on any family of environments that differ in a goal.

The public names are `mt.rl.MAMLTRPO` and so on, after `import maml_tf as mt`. TensorFlow and Gymnasium are loaded with
the first name that needs them.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maml_tf.rl.categorical_policy import CategoricalPolicy as CategoricalPolicy
    from maml_tf.rl.envs.goals import Directions as Directions
    from maml_tf.rl.envs.goals import GoalDistribution as GoalDistribution
    from maml_tf.rl.envs.goals import UniformGoals as UniformGoals
    from maml_tf.rl.envs.gymnasium_adapter import GymnasiumTasks as GymnasiumTasks
    from maml_tf.rl.envs.registry import ENVIRONMENTS as ENVIRONMENTS
    from maml_tf.rl.envs.registry import environment as environment
    from maml_tf.rl.envs.registry import register as register
    from maml_tf.rl.envs.vector_env import Outcome as Outcome
    from maml_tf.rl.envs.vector_env import TaskVectorEnv as TaskVectorEnv
    from maml_tf.rl.maml_adam import MAMLAdam as MAMLAdam
    from maml_tf.rl.maml_trpo import MAMLTRPO as MAMLTRPO
    from maml_tf.rl.maml_trpo import AdaptationStep as AdaptationStep
    from maml_tf.rl.maml_trpo import MetaIteration as MetaIteration
    from maml_tf.rl.policy import GaussianPolicy as GaussianPolicy
    from maml_tf.rl.policy import Policy as Policy
    from maml_tf.rl.rollout import Rollout as Rollout
    from maml_tf.rl.rollout import roll_out as roll_out
    from maml_tf.rl.sampling.sampler import Sampler as Sampler
    from maml_tf.rl.sampling.trajectories import Trajectories as Trajectories
    from maml_tf.rl.training import train as train
    from maml_tf.rl.trpo import TrustRegion as TrustRegion

_MODULES = {
    "AdaptationStep": "maml_trpo",
    "CategoricalPolicy": "categorical_policy",
    "Directions": "envs.goals",
    "ENVIRONMENTS": "envs.registry",
    "GaussianPolicy": "policy",
    "GoalDistribution": "envs.goals",
    "GymnasiumTasks": "envs.gymnasium_adapter",
    "MAMLAdam": "maml_adam",
    "MAMLTRPO": "maml_trpo",
    "MetaIteration": "maml_trpo",
    "Outcome": "envs.vector_env",
    "Policy": "policy",
    "Rollout": "rollout",
    "Sampler": "sampling.sampler",
    "TaskVectorEnv": "envs.vector_env",
    "Trajectories": "sampling.trajectories",
    "TrustRegion": "trpo",
    "UniformGoals": "envs.goals",
    "environment": "envs.registry",
    "register": "envs.registry",
    "roll_out": "rollout",
    "train": "training",
}


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
