"""Meta-SGD (Li et al., 2017): the step size of every weight is meta-learned."""

import tensorflow as tf

from maml_tf.meta.inner_updates import INNER_UPDATES, InnerUpdate


@INNER_UPDATES.register("meta_sgd")
class MetaSGD(InnerUpdate):
    """theta' = theta - alpha * gradient (elementwise), with an alpha of each weight's shape (their equation 2).

    Every alpha starts at `step_size` and is trained with theta. It may become negative. After meta-training, the
    learner's `step_size` has no influence any more.
    """

    def initial_params(self, weights, step_size):
        return {f"{name}/step_size": step_size * tf.ones_like(weight) for name, weight in weights.items()}

    def __call__(self, weights, gradients, own, step_size, step):
        alphas = iter(own)
        return [w if g is None else w - next(alphas) * g for w, g in zip(weights, gradients, strict=True)]
