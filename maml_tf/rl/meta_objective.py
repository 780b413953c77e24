"""What MAML's meta-step optimises in reinforcement learning: the surrogate loss after the inner step (PROTOCOL 3.4)."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from maml_tf.ops.fisher import backward_pass, forward_pass, kl_hessian_product, loss_hessian_product
from maml_tf.rl.policy import distribution
from maml_tf.rl.policy_gradient import inner_step
from maml_tf.runtime import available_cores


class MetaObjective:
    """Surrogate loss and KL divergence after the inner steps, as functions of theta, with their derivatives.

    From batches of T tasks, `earlier` ones sampled before each inner step and a `later` one after the last,

        loss(theta) = mean over tasks of - mean over time steps of pi_theta'(a|s) / pi_old(a|s) x advantage
        KL(theta)   = mean over all tasks' time steps of KL(pi_old(.|s) || pi_theta'(.|s))

    with theta' the parameters that the inner steps make of theta, and pi_old those of the theta that sampled.
    Derivatives go through the inner steps, whose own loss is the log-likelihood or the likelihood ratio times the
    advantage (`policy_gradient_loss`). Without earlier batches this is TRPO's objective for T policies' samples.

    Parameters are vectors [P] here. Tasks are computed one by one, as many at a time as there are cores: a task's
    arrays then stay in a core's cache.

    Args:
        policy: a GaussianPolicy.
        step_size: alpha.
        likelihood_ratio: which of the inner losses.
    """

    def __init__(self, policy, step_size, likelihood_ratio=False):
        self.policy = policy
        self.step_size = step_size
        self.likelihood_ratio = likelihood_ratio
        self.shapes = [tuple(variable.shape) for variable in policy.trainable_variables]
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]
        # 1 where the inner step moves a parameter, [P]
        self.moves = np.repeat(np.array(policy.adaptable, policy.dtype), self.sizes)

    def flat(self, params):
        """A list of parameters as a vector [P]; or [T, P] with a task axis."""
        lead = len(params[0].shape) - len(self.shapes[0])
        return tf.concat([tf.reshape(p, [*p.shape[:lead], -1]) for p in params], axis=-1)

    def unflat(self, vector):
        """The inverse of `flat`."""
        parts = tf.split(vector, self.sizes, axis=-1)
        return [tf.reshape(part, [*part.shape[:-1], *shape]) for part, shape in zip(parts, self.shapes, strict=True)]

    @tf.function(autograph=False)
    def adapted(self, params, batch, step_size):
        """One inner step of every task with a `step_size` [], [T, P] -> [T, P], from the parameters that sampled."""

        def task(params, batch):
            return self.flat(inner_step(self.policy, self.unflat(params), batch, step_size))

        return _each_task(task, (params, batch))

    @tf.function(autograph=False)
    def moments(self, params, batch):
        """Mean [T, B, A] and log standard deviation [T, 1, A] of every task's policy at its observations."""

        def task(params, batch):
            return self.policy.moments(self.unflat(params), batch.observations)

        return _each_task(task, (params, batch), outputs=2)

    @tf.function(autograph=False)
    def loss_and_kl(self, theta, earlier, later, old):
        """(loss [], KL []) for `old`, the `moments` of the policies that sampled every batch."""

        def task(*task):
            return self._task_loss_and_kl(theta, *task)

        loss, kl = _each_task(task, (earlier, later, old), outputs=2)
        return tf.reduce_mean(loss), tf.reduce_sum(kl)

    @tf.function(autograph=False)
    def loss_and_gradient(self, theta, earlier, later, old):
        """(loss [], its gradient [P])."""

        def task(*task):
            with tf.GradientTape() as tape:
                tape.watch(theta)
                loss, _ = self._task_loss_and_kl(theta, *task)
            return loss, tape.gradient(loss, theta)[tf.newaxis]

        loss, gradient = _each_task(task, (earlier, later, old), outputs=2)
        return tf.reduce_mean(loss), tf.reduce_mean(gradient, axis=0)

    @tf.function(autograph=False)
    def kl_gradient(self, theta, earlier, later, old):
        """The KL divergence's gradient [P]."""

        def task(*task):
            with tf.GradientTape() as tape:
                tape.watch(theta)
                _, kl = self._task_loss_and_kl(theta, *task)
            return tape.gradient(kl, theta)[tf.newaxis]

        return tf.reduce_sum(_each_task(task, (earlier, later, old)), axis=0)

    def fisher(self, path, earlier, later):
        """The KL divergence's second derivative F at the theta that sampled, as a function v [P] -> F v [P] (NumPy).

        There it is exactly J' M J: M the second derivative of the normal distributions' KL divergence in their moments,
        J the moments' first derivative by theta. And J is the moments' derivative by the last parameters, times
        I - alpha D H for every inner step, with H the second derivative of that step's loss and D diagonal, 1 where the
        step moves a parameter and 0 elsewhere. So a product takes two with every H and no third derivatives.

        Args:
            path: parameters [T, P] before each inner step and after the last.
            earlier: PolicyBatch of each inner step.
            later: PolicyBatch after the last.
        """
        tasks = [
            self._task_passes(*tf.nest.map_structure(lambda tensor, task=task: tensor[task], (path, earlier, later)))
            for task in range(path[0].shape[0])
        ]

        def product(vector):
            vector = tf.constant(vector, self.policy.dtype)
            with ThreadPoolExecutor(available_cores()) as threads:
                products = list(threads.map(lambda task: self._task_fisher_product(vector, *task).numpy(), tasks))
            return np.sum(products, axis=0)

        return product

    # What follows is about one task, with a task axis of length 1.

    def _task_loss_and_kl(self, theta, earlier, later, old):
        """The task's loss [1] and its share [1] of the mean KL divergence."""
        params = [p[tf.newaxis] for p in self.unflat(theta)]
        *earlier_old, old = old
        for batch, sampled in zip(earlier, earlier_old, strict=True):
            params = inner_step(self.policy, params, batch, self.step_size, sampled if self.likelihood_ratio else None)
        new, old = distribution(*self.policy.moments(params, later.observations)), distribution(*old)
        ratio = tf.exp(new.log_prob(later.actions) - old.log_prob(later.actions))
        loss = -tf.reduce_sum(later.weights * later.advantages * ratio, axis=1)
        return loss, tf.reduce_sum(later.pooled_weights * old.kl_divergence(new), axis=1)

    # And here without a task axis.

    @tf.function(autograph=False)
    def _task_passes(self, path, earlier, later):
        """What all Fisher products of a task share: Backward of every inner step, Forward after the last, weights."""
        *starts, end = (
            forward_pass(self.policy, self.unflat(params), batch.observations)
            for params, batch in zip(path, (*earlier, later), strict=True)
        )
        steps = [backward_pass(start, batch) for start, batch in zip(starts, earlier, strict=True)]
        return steps, end, later.pooled_weights

    @tf.function(autograph=False)
    def _task_fisher_product(self, vector, steps, end, weights):
        """One task's share of a Fisher product, from its `_task_passes`."""
        tangent = vector
        for step in steps:
            tangent -= self.step_size * self.moves * self._hessian_product(step, tangent)
        tangent = self.flat(kl_hessian_product(end, weights, self.unflat(tangent)))
        for step in steps[::-1]:
            tangent -= self.step_size * self._hessian_product(step, self.moves * tangent)
        return tangent

    def _hessian_product(self, step, tangent):
        return self.flat(loss_hessian_product(step, self.unflat(tangent), self.likelihood_ratio))


def _each_task(function, arguments, outputs=1):
    """Calls `function` for every task of `arguments` and puts its tensors together again along the task axis.

    Args:
        function: takes `arguments` with a task axis of length 1, returns `outputs` tensors with such an axis.
        arguments: a structure of tensors [T, ...].
        outputs: 1 for a tensor, more for a tuple.
    """
    dtype = tf.nest.flatten(arguments)[0].dtype

    def task(arguments):
        result = function(*tf.nest.map_structure(lambda tensor: tensor[tf.newaxis], arguments))
        return tf.nest.map_structure(lambda tensor: tensor[0], tuple(result) if outputs > 1 else result)

    signature = dtype if outputs == 1 else (dtype,) * outputs
    return tf.map_fn(task, arguments, parallel_iterations=available_cores(), fn_output_signature=signature)
