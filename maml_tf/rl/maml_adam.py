"""Algorithm 3 with Adam in the outer loop: how the authors pretrained on 2D navigation (PROTOCOL 3.7)."""

import tensorflow as tf

from maml_tf.rl import trpo
from maml_tf.rl.maml_trpo import MAMLTRPO
from maml_tf.rl.policy import Policy
from maml_tf.training.adam import Adam, TrainingState


class MAMLAdam(MAMLTRPO):
    """MAMLTRPO whose meta-update is a step of Adam along the gradient of the same surrogate loss.

    Args:
        policy, step_size, num_steps, likelihood_ratio: see MAMLTRPO.
        optimizer: the Adam.
    """

    def __init__(
        self,
        policy: Policy,
        step_size: float,
        optimizer: Adam,
        num_steps: int = 1,
        likelihood_ratio: bool = False,
    ):
        super().__init__(policy, step_size, num_steps=num_steps, likelihood_ratio=likelihood_ratio)
        self.optimizer = optimizer

    def update(self, state: TrainingState, objective: trpo.Objective) -> tuple[TrainingState, dict[str, float]]:
        """A step of Adam; the loss is the one before it."""
        loss, gradient = objective.loss_and_gradient(self.objective.flat(state.params).numpy())
        gradient = tf.constant(gradient, self.policy.dtype)
        return self.optimizer.apply(state, self.objective.unflat(gradient)), {"loss": loss}
