"""MAML++ (Antoniou, Edwards and Storkey, 2018): MAML with changes to its training, each of them a switch."""

import copy
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.adaptable import Adaptable, all_but_norm_offsets, chosen_weights
from maml_tf.meta.arguments import whole_number
from maml_tf.meta.functional import weight_names
from maml_tf.meta.inner_updates import InnerUpdate
from maml_tf.meta.learner import MetaStep
from maml_tf.meta.maml import MAML
from maml_tf.models.batch_norm import BatchNorm, given_statistics, recorded_statistics

SMALLEST_SHARE = 0.03  # of an equal share: what the loss after an earlier step keeps until the annealing ends
MOMENTUM = 0.1  # of the running statistics: the weight of a new batch


class MAMLPlusPlus(MAML):
    """MAML whose training is changed in up to five ways. With none of them it is MAML.

    The sixth part of MAML++, the cosine schedule of the outer rate, is `learning_rate=Annealed(...)` in `train`.

    Args:
        model, loss, step_size, num_steps, adaptable, options: see `MAML`.
        multi_step_loss: number of meta-iterations in which the query loss after every inner step counts (their MSL).
            All steps count the same at first; the share of the earlier ones falls in a straight line. Then the loss
            after the last step counts alone, as in MAML. 0: from the start.
        first_order_iterations: number of meta-iterations at the beginning that drop the second derivatives (their DA).
        step_sizes: learn one step size for every layer and inner step (their LSLR). They start at `step_size`. Steps
            beyond `num_steps` take the last one.
        norm_weights: learn other offsets and scales of the model's norms for every number of inner steps taken (their
            BNWB): all weights named `beta` or `gamma`. They start equal.
        norm_statistics: predict with running statistics of batch norm, kept for every number of inner steps taken
            (their BNRS), in place of the query set's own. Inner steps and meta-training use those of the batch, as in
            the authors' code. Needs a model with `BatchNorm` of `maml_tf.models`.

    Raises:
        UsageError: an argument is not allowed, or the model has no such norms.
    """

    def __init__(
        self,
        model: keras.Model,
        loss: Any,
        step_size: float,
        num_steps: int,
        *,
        multi_step_loss: int = 0,
        first_order_iterations: int = 0,
        step_sizes: bool = False,
        norm_weights: bool = False,
        norm_statistics: bool = False,
        adaptable: Adaptable = all_but_norm_offsets,
        **options: Any,
    ):
        self.multi_step_loss = whole_number("multi_step_loss", multi_step_loss, 0)
        self.first_order_iterations = whole_number("first_order_iterations", first_order_iterations, 0)
        self.norm_statistics = norm_statistics
        if self.first_order_iterations and options.get("first_order"):
            raise UsageError("first_order_iterations: not allowed with first_order=True, which drops them for ever")
        if step_sizes or norm_weights:
            if options.get("inner_update") is not None:
                raise UsageError("inner_update: not allowed with step_sizes or norm_weights, which are one themselves")
            steps = whole_number("num_steps", num_steps, 1)
            options["inner_update"] = PerStep(model, chosen_weights(model, adaptable), steps, step_sizes, norm_weights)
        self.norms = _norms_with_statistics(model) if norm_statistics else []
        if self.multi_step_loss or norm_statistics:
            if not options.get("training", True):
                raise UsageError(
                    "training: False is not allowed with multi_step_loss or norm_statistics; expected True"
                )
            if options.setdefault("low_rank_updates", False):
                raise UsageError("low_rank_updates: not allowed with multi_step_loss or norm_statistics")
            whole_number("num_steps", num_steps, 1)
        super().__init__(model, loss, step_size, num_steps, adaptable=adaptable, **options)
        self._own_names = list(self.own_state())

    def own_state(self) -> dict[str, tf.Tensor]:
        """The number of meta-iterations done, where it matters; the running statistics, and which of them are next."""
        dtype = self.model.trainable_variables[0].dtype
        state: dict[str, tf.Tensor] = {}
        if self.multi_step_loss or self.first_order_iterations:
            state["meta_iterations"] = tf.zeros([], dtype)
        if self.norm_statistics:
            state["inner_steps"] = tf.zeros([], dtype)
            for norm in self.norms:
                shape = [self.num_steps + 1, norm.beta.shape[0]]
                state[f"{norm.name}/running_mean"] = tf.zeros(shape, dtype)
                state[f"{norm.name}/running_variance"] = tf.ones(shape, dtype)
        return state

    def task_loss(self, params, support_x, support_y, query_x, query_y, *seed, training=True):
        """As MAML's; with the multi-step loss, the weighted sum of the query losses after 1, 2, ... steps."""
        if not (self.multi_step_loss and training):
            return super().task_loss(params, support_x, support_y, query_x, query_y, *seed, training=training)
        shares = self.loss_shares(self._own(self.parts(params)[-1])["meta_iterations"])
        total, state = [], []
        _, *after = self.inner_steps(self.seeded(params, *seed), (support_x, support_y), training=training)
        for share, theta in zip(shares, after, strict=True):
            weights, _, state = self.parts(theta)
            loss, state = self.set_loss(weights, (query_x, query_y), state, training)
            total.append(share * loss)
        return tf.add_n(total), state[: self.num_state]

    def loss_shares(self, iteration: tf.Tensor) -> list[tf.Tensor]:
        """The weight of the query loss after each inner step, at a meta-iteration (a tensor of any shape)."""
        steps, iteration = self.num_steps, tf.stop_gradient(iteration)
        passed = iteration / self.multi_step_loss
        earlier = tf.maximum(1 - passed, SMALLEST_SHARE) / steps
        earlier = tf.where(passed < 1, earlier, tf.zeros_like(earlier))
        return [earlier] * (steps - 1) + [1 - (steps - 1) * earlier]

    def meta_step(self, params, batch, seed=None, training=None) -> MetaStep:
        """As MAML's; of first order in the first iterations."""
        own = self._own(self.parts(params)[-1])
        step = functools.partial(super().meta_step, params, batch, seed, training)
        if self.first_order_iterations:
            simpler = copy.copy(self)
            simpler.first_order = True
            first = functools.partial(MAML.meta_step, simpler, params, batch, seed, training)
            found = tf.cond(own["meta_iterations"] < self.first_order_iterations, first, step)
        else:
            found = step()
        state = self._own(found.state) if found.state else own  # low-rank updates give none
        if "meta_iterations" in own:  # exact, where a mean over the tasks would be rounded
            state["meta_iterations"] = own["meta_iterations"] + 1
        if "inner_steps" in own:
            state["inner_steps"] = tf.zeros_like(own["inner_steps"])
        return found._replace(state=[*found.state[: self._num_model_state], *state.values()])

    def set_loss(self, weights, xy, state, training, predicts=False):
        """As every learner's, with the running statistics: used where it predicts, and moved on where it does not."""
        own, rest = self._own(state), self._of_model(state)
        if not self.norm_statistics:
            loss, rest = super().set_loss(weights, xy, rest, training, predicts)
            return loss, self._joined(rest, own)
        if predicts:
            with given_statistics(self._statistics(own, weights)):
                loss, rest = super().set_loss(weights, xy, rest, training, predicts)
            return loss, self._joined(rest, own)
        with recorded_statistics() as recorded:
            loss, rest = super().set_loss(weights, xy, rest, training, predicts)
        return loss, self._joined(rest, self._moved_on(own, recorded))

    def forward(self, params, x):
        """As every learner's, with the running statistics."""
        weights, added, state = self.parts(params)
        if not self.norm_statistics or not state:
            return super().forward([*weights, *added, *self._of_model(state)] if state else weights, x)
        with given_statistics(self._statistics(self._own(state), weights)):
            return super().forward([*weights, *added, *self._of_model(state)], x)

    def adapt(self, x, y, num_steps=None, params=None, training=False, seed=(0, 0)):
        """As every learner's; refused with `norm_statistics`, which the adapted model does not have."""
        self._refuse_statistics("adapt")
        return super().adapt(x, y, num_steps, params, training, seed)

    def export(self, path, x, y, num_steps=None, params=None):
        """As every learner's; refused with `norm_statistics`."""
        self._refuse_statistics("export")
        super().export(path, x, y, num_steps, params)

    def _refuse_statistics(self, method: str) -> None:
        if self.norm_statistics:
            raise UsageError(
                f"norm_statistics: True is not allowed in {method}: an adapted model has no running statistics for "
                "each step; expected False, or use inner_steps and forward"
            )

    @property
    def _num_model_state(self) -> int:
        return len(self.function.state_variables)

    def _own(self, state: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
        """The part of a state that is this learner's: after the model's, before the seeds."""
        first = self._num_model_state
        return dict(zip(self._own_names, state[first : self.num_state], strict=True))

    def _of_model(self, state: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        return [*state[: self._num_model_state], *state[self.num_state :]]

    def _joined(self, of_model: Sequence[tf.Tensor], own: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        first = self._num_model_state
        return [*of_model[:first], *own.values(), *of_model[first:]]

    def _chosen(self, own: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """1 at the number of steps taken, else 0, [..., num_steps + 1, 1]."""
        taken = tf.minimum(tf.cast(own["inner_steps"], tf.int32), self.num_steps)
        return tf.one_hot(taken, self.num_steps + 1, dtype=own["inner_steps"].dtype)[..., tf.newaxis]

    def _statistics(self, own, weights) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        """The running statistics of the number of steps taken, in the shapes that the norms' batches have."""
        chosen, task_axis = self._chosen(own), self.has_task_axis(weights)
        found = {}
        for norm in self.norms:
            values = (own[f"{norm.name}/running_{of}"] for of in ("mean", "variance"))
            shape = [1] * (norm.batch_rank - 1)
            values = (tf.reduce_sum(chosen * value, axis=-2) for value in values)
            found[norm.name] = tuple(
                tf.reshape(v, [*(v.shape[:1] if task_axis else []), *shape, v.shape[-1]]) for v in values
            )
        return found

    def _moved_on(self, own, recorded) -> dict[str, tf.Tensor]:
        """The statistics after a batch, and one step more."""
        weight, after = MOMENTUM * self._chosen(own), dict(own)
        for norm in self.norms:
            for of, batch in zip(("mean", "variance"), recorded[norm.name], strict=True):
                name = f"{norm.name}/running_{of}"
                new = tf.reshape(tf.stop_gradient(batch), [*own[name].shape[:-2], 1, own[name].shape[-1]])
                after[name] = own[name] + weight * (new - own[name])
        return after | {"inner_steps": own["inner_steps"] + 1}


class PerStep(InnerUpdate):
    """Gradient descent with meta-parameters for each inner step: step sizes of layers, and the weights of norms.

    Args:
        model: a built Keras model.
        adaptable: whether each of its trainable weights is adapted.
        num_steps: number of inner steps that have meta-parameters.
        step_sizes: one for every layer with an adapted weight.
        norm_weights: values of every `beta` and `gamma` after each step. They must not be adapted.
    """

    def __init__(
        self, model: keras.Model, adaptable: Sequence[bool], num_steps: int, step_sizes: bool, norm_weights: bool
    ):
        self.num_steps, self.step_sizes = num_steps, step_sizes
        names, variables = weight_names(model), model.trainable_variables
        self.layers = [
            name.rpartition("/")[0] if adapts else None for name, adapts in zip(names, adaptable, strict=True)
        ]
        self.norm_variables = {}
        if norm_weights:
            self.norm_variables = {i: v for i, v in enumerate(variables) if not all_but_norm_offsets(v)}
            if not self.norm_variables:
                raise UsageError(f"norm_weights: {model.name} has no norm with a weight named beta or gamma")
            if adapted := [names[i] for i in self.norm_variables if adaptable[i]]:
                raise UsageError(f"norm_weights: not allowed where the inner loop adapts them: {', '.join(adapted)}")
        self.norm_names = {i: names[i] for i in self.norm_variables}

    def initial_params(self, weights, step_size):
        layers = dict.fromkeys(layer for layer in self.layers if layer is not None) if self.step_sizes else {}
        dtype = next(iter(weights.values())).dtype
        sizes = {f"{layer}/step_sizes": step_size * tf.ones([self.num_steps], dtype) for layer in layers}
        norms = {
            f"{self.norm_names[i]}/after_steps": tf.stack([tf.convert_to_tensor(v)] * self.num_steps)
            for i, v in self.norm_variables.items()
        }
        return sizes | norms

    def __call__(self, weights, gradients, own, step_size, step):
        layers = list(dict.fromkeys(layer for layer in self.layers if layer is not None)) if self.step_sizes else []
        step = min(step, self.num_steps - 1)
        sizes = {layer: vector[..., step] for layer, vector in zip(layers, own, strict=False)}
        norms = dict(zip(self.norm_variables, own[len(layers) :], strict=False))
        after = []
        for index, (weight, gradient, layer) in enumerate(zip(weights, gradients, self.layers, strict=True)):
            if index in norms:
                after.append(tf.gather(norms[index], step, axis=-2))
            elif gradient is None:
                after.append(weight)
            else:
                size = step_size if layer is None or layer not in sizes else sizes[layer]
                after.append(weight - _like(size, gradient) * gradient)
        return after


def _like(size: Any, gradient: tf.Tensor) -> Any:
    """A step size, or [T] of them, in a shape that broadcasts to a gradient."""
    if isinstance(size, float):
        return size
    return tf.reshape(tf.cast(size, gradient.dtype), [*size.shape, *[1] * (gradient.shape.rank - size.shape.rank)])


def _norms_with_statistics(model: keras.Model) -> list[BatchNorm]:
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, BatchNorm)]
    if not norms or any(isinstance(layer, keras.layers.BatchNormalization) for layer in model._flatten_layers()):
        raise UsageError(
            f"norm_statistics: not allowed for {model.name}; expected a model whose norms are maml_tf.models.BatchNorm"
        )
    return norms
