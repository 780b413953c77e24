"""Our side of reinforcement learning: a whole meta-iteration, the sampling alone, and the physics that it contains."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import mujoco
import mujoco.batch
import numpy as np
import tensorflow as tf

from benchmarks.prepared import Prepared, repeated, versions_of
from benchmarks.workloads import SPECS
from maml_tf.experiments.rl import ReinforcementLearningExperiment
from maml_tf.experiments.spec import read_spec
from maml_tf.rl.sampling.sampler import Sampler
from maml_tf.runtime import configure_runtime

SEED = 1


def prepare(side, problem, arrays):
    """See side.py."""
    configure_runtime()
    spec = read_spec(SPECS / f"{problem['spec']}.yaml", problem["profile"])
    experiment = ReinforcementLearningExperiment(spec, SEED)
    learner = experiment.learner
    sampler = Sampler(experiment.make_envs, spec.meta.batch_size, spec.tasks.trajectories)
    goals = sampler.goal_distribution.sample(np.random.default_rng(SEED), sampler.num_tasks)
    state = learner.initial_state()
    if problem["kind"] == "meta_iteration":
        return Prepared(repeated(lambda: learner.iteration(state, sampler, goals, np.random.default_rng(SEED))))

    actor = learner.policy.actor(
        [tf.tile(p[tf.newaxis], [sampler.num_tasks, *[1] * p.shape.rank]) for p in state.params]
    )

    def sample():
        return int(sampler.sample(actor, goals, SEED).mask.sum())  # time steps that come out

    if side == "ours":
        return Prepared(repeated(sample), units=lambda steps: steps)
    ready = _physics_only(sampler, sample)
    if side == "physics_with_profiler":
        mujoco.set_mjcb_time(None)  # the clock of MuJoCo's package again, which our environments take away
    return ready


def versions():
    """Of what this side runs on."""
    return versions_of("tensorflow", "mujoco", "gymnasium", "numpy")


class _Recorder:
    """Stands in for an environment's `mujoco.batch.Batch` and notes what it is asked and given."""

    def __init__(self, envs):
        self.envs, self.batch, self.calls = envs, envs.batch, []
        envs.batch = self

    @property
    def warning(self):
        return self.batch.warning

    def reset(self, ids, stage):
        self.calls.append((self.batch.reset, ids.copy(), stage, ()))
        self.batch.reset(ids, stage=stage)

    def forward(self, ids, stage):
        state = (self.envs.qpos, self.envs.qpos[ids].copy()), (self.envs.qvel, self.envs.qvel[ids].copy())
        self.calls.append((self.batch.forward, ids.copy(), stage, state))
        self.batch.forward(ids, stage=stage)

    def step(self, ids, stage):
        controls = self.envs._ctrl
        self.calls.append((self.batch.step, ids.copy(), stage, ((controls, controls[ids].copy()),)))
        self.batch.step(ids, stage=stage)

    def replay(self):
        for function, ids, stage, given in self.calls:
            for place, values in given:
                place[ids] = values
            try:
                function(ids, stage=stage)
            except mujoco.batch.SimulationError:  # as it did when it was recorded
                continue


def _physics_only(sampler, sample):
    """The very simulation steps of one sampling again: no policy, no observations, no rewards, nothing stored."""
    recorders = [_Recorder(envs) for envs in sampler.envs]
    steps = sample()

    def replay():
        for recorder in recorders:
            recorder.replay()
        return steps

    return Prepared(repeated(replay), units=lambda steps: steps)
