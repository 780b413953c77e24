"""Training one network on all tasks at once, without adaptation: the paper's `pretrained` and `oracle` baselines."""

import tensorflow as tf

from maml_tf.meta.functional import functional_call


class JointTraining:
    """Minimises the mean support loss over tasks, with no inner step (section 5.1; PROTOCOL 2.1).

    *Pretrained*: the network sees x alone and must settle for one function. *Oracle*: the task distribution adds the
    task's parameters to x. Both are then fine-tuned or evaluated through a MAML learner around the same model.

    Args:
        model: a built Keras model.
        loss: (labels, predictions) -> one value a task.
    """

    def __init__(self, model, loss):
        self.model = model
        self.loss = loss

    def meta_gradient(self, params, batch):
        """The mean support loss of a TaskBatch and its gradient; the query sets are not used (PROTOCOL 2.1)."""
        with tf.GradientTape() as tape:
            tape.watch(params)
            loss = tf.reduce_mean(self.loss(batch.support_y, functional_call(self.model, params, batch.support_x)))
        return loss, tape.gradient(loss, params)
