"""MAML: algorithms 1 and 2 of the paper, for any Keras model and any differentiable loss."""

import copy

import tensorflow as tf

from maml_tf.meta.functional import functional_call
from maml_tf.meta.inner_loop import adapt
from maml_tf.meta.task_execution import task_execution_for
from maml_tf.ops.low_rank_updates import low_rank_task_losses
from maml_tf.runtime import available_cores


def all_but_norm_offsets(variable):
    """The authors' choice of what the inner loop moves: everything but batch norm's `beta` (PROTOCOL 1.2)."""
    return variable.name not in ("beta", "gamma")


class AdaptedModel:
    """A model with the parameters that were adapted to one task."""

    def __init__(self, model, params):
        self.model = model
        self.params = params

    def predict(self, x):
        """The adapted model's output on x [n, ...]."""
        return functional_call(self.model, self.params, tf.convert_to_tensor(x))


class MAML:
    """Meta-learns an initialisation from which a few gradient steps solve a new task.

    Args:
        model: a built Keras model. It stays as it is: parameters are passed in and returned.
        loss: (labels, predictions) -> one value a task, as in `maml_tf.meta.losses`.
        step_size: alpha, the inner step size.
        num_steps: inner gradient steps during meta-training.
        first_order: drop the second derivatives (section 5.2, "first-order approximation").
        adapts: whether the inner loop moves a Keras variable; meta-training moves all.
        together: run the tasks as one, with a task axis in front of every parameter, or each task by itself, as works
            for any Keras model. By default what is fastest for the model on this device (`task_execution_for`).
        low_rank_updates: do not write out adapted kernels in training
            (`ops/low_rank_updates.py`): for tasks together, a model that can
            be called with updates, `adapts` and `recompute` as by default. By default where that is fastest.
        tasks_at_once: at most so many tasks are differentiated at a time, which bounds the memory. By default all that
            run together, and two for every core of those that run by themselves: with more they push each other's
            numbers out of the cache, with fewer a core now and then waits (Omniglot 5-way takes 0.97 of the time of
            all at once on one core so, 0.90 on two; mini-ImageNet the same time).
        recompute: recompute inner steps when differentiating instead of keeping them (see `adapt`).
    """

    def __init__(
        self,
        model,
        loss,
        step_size,
        num_steps,
        *,
        first_order=False,
        adapts=all_but_norm_offsets,
        together=None,
        low_rank_updates=None,
        tasks_at_once=None,
        recompute=False,
    ):
        self.model = model
        self.loss = loss
        self.step_size = step_size
        self.num_steps = num_steps
        self.first_order = first_order
        self.adaptable = [bool(adapts(variable)) for variable in model.trainable_variables]
        task_execution = task_execution_for(model)
        self.together = task_execution.together if together is None else together
        self.tasks_at_once = tasks_at_once
        self.recompute = recompute
        possible = (
            self.together
            and not recompute
            and hasattr(model, "call_with_updates")
            and self.adaptable == [all_but_norm_offsets(variable) for variable in model.trainable_variables]
        )
        if low_rank_updates and not possible:
            raise ValueError(
                "low_rank_updates needs tasks that run together, a model with `call_with_updates`, "
                "and the default of `adapts` and `recompute`"
            )
        self.low_rank_updates = (
            possible and task_execution.low_rank_updates if low_rank_updates is None else low_rank_updates
        )

    def with_tasks_together(self):
        """The same learner with all tasks run as one, whatever is fastest on this device (see `together`)."""
        learner = copy.copy(self)
        learner.together = True
        return learner

    def parameters(self):
        """The model's own parameters theta, as a list of tensors."""
        return [tf.convert_to_tensor(variable) for variable in self.model.trainable_variables]

    def adapted_parameters(self, params, support_x, support_y, num_steps=None, step_size=None):
        """theta after each inner step on a support set (see `adapt`); steps and alpha as in training by default."""

        def support_loss(params, support):
            x, y = support
            return self.loss(y, functional_call(self.model, params, x))

        return adapt(
            support_loss,
            params,
            (support_x, support_y),
            self.step_size if step_size is None else step_size,
            self.num_steps if num_steps is None else num_steps,
            first_order=self.first_order,
            adaptable=self.adaptable,
            recompute=self.recompute,
        )

    def predict(self, params, x):
        """The model's output on x with these parameters, in place of its own."""
        return functional_call(self.model, params, x)

    def adapt(self, x, y, num_steps=None, params=None):
        """Adapts to one new task: `learner.adapt(x, y).predict(x_new)`.

        Args:
            x, y: the support set of the task, [N*K, ...].
            num_steps: gradient steps; as in training by default.
            params: theta to start from; the model's own variables by default.

        Returns:
            An AdaptedModel. The model and theta stay as they are.
        """
        params = self.parameters() if params is None else params
        x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(y)
        return AdaptedModel(self.model, [params, *self.adapted_parameters(params, x, y, num_steps)][-1])

    def for_every_task(self, function, params, batch, written_out=True):
        """Calls `function(params, support_x, support_y, query_x, query_y)` for the T tasks of a batch.

        Together: one call, with a task axis in front of parameters and data. Otherwise one call a task, without it,
        in parallel on the cores there are.

        Args:
            function: returns one tensor.
            params, batch: theta and a TaskBatch.
            written_out: the tasks stand one after the other in the graph, which runs fastest and takes long to trace;
                otherwise in a loop, traced once: for what is not differentiated and runs a few times only.

        Returns:
            The T tasks' values, stacked: [T, ...].
        """
        T = batch.num_tasks
        if self.together:
            return function([tf.broadcast_to(p, [T, *p.shape]) for p in params], *batch)
        if not written_out:
            return tf.map_fn(
                lambda task: function(params, *task),
                tuple(batch),
                fn_output_signature=params[0].dtype,
                parallel_iterations=available_cores(),
            )
        return tf.stack([function(params, *(tensor[task] for tensor in batch)) for task in range(T)])

    def task_losses(self, params, batch):
        """The query loss of every task after its inner steps, [T]: the summands of the meta-objective (section 2.2)."""
        if self.low_rank_updates:
            return low_rank_task_losses(self, params, batch)

        def query_loss(params, support_x, support_y, query_x, query_y):
            adapted = [params, *self.adapted_parameters(params, support_x, support_y)][-1]
            return self.loss(query_y, functional_call(self.model, adapted, query_x))

        return self.for_every_task(query_loss, params, batch)

    def meta_loss(self, params, batch):
        """The mean of `task_losses`: the authors average over the tasks of a batch (PROTOCOL 1.1)."""
        return tf.reduce_mean(self.task_losses(params, batch))

    def meta_gradient(self, params, batch):
        """The meta-loss of a TaskBatch and its gradient with respect to every parameter.

        Returns:
            (loss [], list of gradients in the order of `params`)
        """
        T = batch.num_tasks
        if self.together:
            part_size, at_once = self.tasks_at_once or T, 1
        else:
            part_size, at_once = 1, self.tasks_at_once or 2 * available_cores()
        loss, gradients, of_parts = 0.0, [tf.zeros_like(p) for p in params], []
        for start in range(0, T, part_size):
            part = batch.tasks(start, start + part_size)
            with tf.control_dependencies(of_parts[-at_once] if len(of_parts) >= at_once else []):
                part = type(part)(*map(tf.identity, part))  # begins when the part `at_once` before it has its gradient
            with tf.GradientTape() as tape:
                tape.watch(params)
                part_loss = tf.reduce_sum(self.task_losses(params, part)) / T
            of_parts.append(tape.gradient(part_loss, params))
            loss += part_loss
            gradients = [g + d for g, d in zip(gradients, of_parts[-1], strict=True)]
        return loss, gradients
