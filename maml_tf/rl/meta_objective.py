"""What MAML's meta-step optimises in reinforcement learning: the surrogate loss after adaptation (PROTOCOL 3.4)."""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from maml_tf.ops.fisher import FastFisher, has_fast_fisher
from maml_tf.rl import trpo
from maml_tf.rl.policy import Policy
from maml_tf.rl.policy_gradient import PolicyBatch, inner_step
from maml_tf.runtime import available_cores

if TYPE_CHECKING:
    from maml_tf.rl.maml_trpo import AdaptationStep


class MetaObjective:
    """Surrogate loss and KL divergence after the inner steps, as functions of theta, with their derivatives.

    Each of T tasks has `earlier` batches, sampled before each inner step, and a `later` batch, sampled after the last:

        loss(theta) = mean over tasks of - mean over time steps of pi_theta'(a|s) / pi_old(a|s) x advantage
        KL(theta)   = mean over all tasks' time steps of KL(pi_old(.|s) || pi_theta'(.|s))

    theta' are the parameters that the inner steps make of theta. pi_old is the policy that sampled; it is constant.
    Derivatives go through the inner steps, whose own loss is `policy_gradient_loss`. Without earlier batches this is
    TRPO's objective for the samples of all tasks.

    Methods take theta as one vector [P]. They compute the tasks one by one, as many at a time as there are cores: the
    arrays of one task then stay in a core's cache.

    Args:
        policy: the policy to train.
        step_size: alpha of the inner steps.
        likelihood_ratio: which inner loss is differentiated (see `policy_gradient_loss`).
    """

    def __init__(self, policy: Policy, step_size: float, likelihood_ratio: bool = False):
        self.policy = policy
        self.step_size = step_size
        self.likelihood_ratio = likelihood_ratio
        self.shapes = [tuple(variable.shape) for variable in policy.trainable_variables]
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]
        # [P], 1 for a parameter that the inner step adapts, else 0
        self.adaptable = np.repeat(np.array(policy.adaptable, policy.dtype), self.sizes)
        self._fast_fisher = FastFisher(self) if has_fast_fisher(policy) else None

    def flat(self, params: Sequence[tf.Tensor]) -> tf.Tensor:
        """A list of parameters as a vector [P]; as [T, P] if they have a task axis."""
        lead = len(params[0].shape) - len(self.shapes[0])
        return tf.concat([tf.reshape(p, [*p.shape[:lead], -1]) for p in params], axis=-1)

    def unflat(self, vector: tf.Tensor) -> list[tf.Tensor]:
        """The inverse of `flat`."""
        parts = tf.split(vector, self.sizes, axis=-1)
        return [tf.reshape(part, [*part.shape[:-1], *shape]) for part, shape in zip(parts, self.shapes, strict=True)]

    def at(self, steps: "Sequence[AdaptationStep]") -> trpo.Objective:
        """The objective of these samples as functions of a NumPy vector theta: what TRPO optimises."""
        batches = self.batches(steps)

        def tensor(vector):
            return tf.constant(vector, self.policy.dtype)

        def loss_and_gradient(theta):
            loss, gradient = self.loss_and_gradient(tensor(theta), *batches)
            return float(loss), gradient.numpy().astype(np.float64)

        def loss_and_kl(theta):
            loss, kl = self.loss_and_kl(tensor(theta), *batches)
            return float(loss), float(kl)

        def kl_gradient(theta):
            return self.kl_gradient(tensor(theta), *batches).numpy().astype(np.float64)

        product = functools.cache(lambda: self.fisher(steps))  # Adam needs none
        return trpo.Objective(loss_and_gradient, loss_and_kl, lambda vector: product()(vector), kl_gradient)

    def fisher(self, steps: "Sequence[AdaptationStep]") -> Callable[[np.ndarray], np.ndarray]:
        """v [P] -> F v [P], F the second derivative of the KL divergence at the theta that sampled.

        It is `fisher_product`, or `maml_tf.ops.fisher.FastFisher` for the policies that have one.
        """
        earlier, later, old = self.batches(steps)
        if self._fast_fisher is not None:
            return self._fast_fisher.at([step.params for step in steps], earlier, later)
        theta = steps[0].params[0]  # before the first inner step all tasks have the same parameters

        def product(vector):
            vector = tf.constant(vector, self.policy.dtype)
            return self.fisher_product(theta, vector, earlier, later, old).numpy()

        return product

    def batches(self, steps: "Sequence[AdaptationStep]") -> tuple[list[PolicyBatch], PolicyBatch, list[tuple]]:
        """(earlier, later, old): the batches before each inner step, the one after the last, and for each of these
        batches the `distribution_params` of the policies that sampled it."""
        *earlier, later = (step.batch for step in steps)
        return earlier, later, [self.distribution_params(step.params, step.batch) for step in steps]

    @tf.function(autograph=False)
    def adapted(self, params: tf.Tensor, batch: PolicyBatch, step_size: tf.Tensor) -> tf.Tensor:
        """One inner step of every task with a `step_size` [], [T, P] -> [T, P], from the parameters that sampled."""

        def task(params, batch):
            return self.flat(inner_step(self.policy, self.unflat(params), batch, step_size))

        return _each_task(task, (params, batch))

    @tf.function(autograph=False)
    def distribution_params(self, params: tf.Tensor, batch: PolicyBatch) -> tuple:
        """The parameters of every task's action distributions at its observations, [T, B, ...] or [T, 1, ...]."""

        def task(params, batch):
            return self.policy.distribution_params(self.unflat(params), batch.observations)

        return _each_task(task, (params, batch), outputs=self.policy.num_distribution_params)

    @tf.function(autograph=False)
    def loss_and_kl(
        self, theta: tf.Tensor, earlier: list[PolicyBatch], later: PolicyBatch, old: list[tuple]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """(loss [], KL [])."""

        def task(*task):
            return self._task_loss_and_kl(theta, *task)

        loss, kl = _each_task(task, (earlier, later, old), outputs=2)
        return tf.reduce_mean(loss), tf.reduce_sum(kl)

    @tf.function(autograph=False)
    def loss_and_gradient(
        self, theta: tf.Tensor, earlier: list[PolicyBatch], later: PolicyBatch, old: list[tuple]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """(loss [], its gradient [P])."""

        def task(*task):
            with tf.GradientTape() as tape:
                tape.watch(theta)
                loss, _ = self._task_loss_and_kl(theta, *task)
            return loss, tape.gradient(loss, theta)[tf.newaxis]

        loss, gradient = _each_task(task, (earlier, later, old), outputs=2)
        return tf.reduce_mean(loss), tf.reduce_mean(gradient, axis=0)

    @tf.function(autograph=False)
    def kl_gradient(
        self, theta: tf.Tensor, earlier: list[PolicyBatch], later: PolicyBatch, old: list[tuple]
    ) -> tf.Tensor:
        """The KL divergence's gradient [P]."""

        def task(*task):
            return self._task_kl_gradient(theta, *task)[tf.newaxis]

        return tf.reduce_sum(_each_task(task, (earlier, later, old)), axis=0)

    @tf.function(autograph=False)
    def fisher_product(
        self, theta: tf.Tensor, vector: tf.Tensor, earlier: list[PolicyBatch], later: PolicyBatch, old: list[tuple]
    ) -> tf.Tensor:
        """F `vector` [P] by double backpropagation: the derivative of (the KL divergence's gradient) . `vector`."""

        def task(*task):
            with tf.GradientTape() as tape:
                tape.watch(theta)
                along_vector = tf.reduce_sum(self._task_kl_gradient(theta, *task) * vector)
            return tape.gradient(along_vector, theta)[tf.newaxis]

        return tf.reduce_sum(_each_task(task, (earlier, later, old)), axis=0)

    def _task_kl_gradient(self, theta, *task):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            _, kl = self._task_loss_and_kl(theta, *task)
        return tape.gradient(kl, theta)

    def _task_loss_and_kl(self, theta, earlier, later, old):
        """One task's loss [1] and its share [1] of the mean KL divergence; the task axis of the batches is 1 long."""
        params = [p[tf.newaxis] for p in self.unflat(theta)]
        *earlier_old, old = old
        for batch, sampled in zip(earlier, earlier_old, strict=True):
            params = inner_step(self.policy, params, batch, self.step_size, sampled if self.likelihood_ratio else None)
        new = self.policy.distribution(self.policy.distribution_params(params, later.observations))
        old = self.policy.distribution(old)
        ratio = tf.exp(new.log_prob(later.actions) - old.log_prob(later.actions))
        loss = -tf.reduce_sum(later.weights * later.advantages * ratio, axis=1)
        return loss, tf.reduce_sum(later.pooled_weights * old.kl_divergence(new), axis=1)


def _each_task(function, arguments, outputs=None):
    """Calls `function` for every task of `arguments` and puts its tensors together again along the task axis.

    Args:
        function: takes `arguments` with a task axis of length 1 and returns a tensor or a tuple with such an axis.
        arguments: a structure of tensors [T, ...].
        outputs: the length of the tuple that `function` returns; None if it returns a tensor.
    """
    dtype = tf.nest.flatten(arguments)[0].dtype

    def task(arguments):
        result = function(*tf.nest.map_structure(lambda tensor: tensor[tf.newaxis], arguments))
        return tf.nest.map_structure(lambda tensor: tensor[0], tuple(result) if outputs else result)

    signature = (dtype,) * outputs if outputs else dtype
    return tf.map_fn(task, arguments, parallel_iterations=available_cores(), fn_output_signature=signature)
