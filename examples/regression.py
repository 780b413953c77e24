"""Your own tasks: straight lines, each with its own slope and offset, learned from a few points."""

import keras
import numpy as np
import tensorflow as tf

import maml_tf as mt


class Lines(mt.TaskDistribution):
    """y = a x + b, where every task has its own a and b."""

    def sample(self, seed: tf.Tensor, num_tasks: int) -> mt.TaskBatch:
        """10 support and 10 query points of each task, which depend on the seed alone."""
        a_seed, b_seed, x_seed = mt.random.split(seed, 3)
        a = mt.random.uniform(a_seed, [num_tasks, 1, 1], -2.0, 2.0)
        b = mt.random.uniform(b_seed, [num_tasks, 1, 1], -1.0, 1.0)
        x = mt.random.uniform(x_seed, [num_tasks, 20, 1], -1.0, 1.0)
        y = a * x + b
        return mt.TaskBatch(x[:, :10], y[:, :10], x[:, 10:], y[:, 10:])


def main() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(1)])
    learner = mt.MAML(model, mt.losses.mean_squared_error, step_size=0.1, num_steps=1)
    checkpoint = mt.train(learner, Lines(), iterations=2000, batch_size=8, learning_rate=0.003, seed=0)

    # How well the learned initialisation adapts: the error on the query points of 100 new tasks after 1 to 5 steps.
    scores = mt.evaluate(
        learner, Lines(), params=checkpoint.params, num_tasks=100, num_steps=5, metric=mt.losses.mean_squared_error
    )
    for step in range(1, 6):
        print(f"after {step} gradient steps: squared error {scores.mean[step]:.4f} ± {scores.ci95[step]:.4f}")

    # One new task of three points: y = 2 x + 1.
    x = np.array([[-1.0], [0.0], [1.0]], np.float32)
    adapted = learner.adapt(x, 2 * x + 1, num_steps=5, params=checkpoint.params)
    print(f"prediction at 0.5: {adapted.predict(np.array([[0.5]], np.float32))[0, 0]:.2f}, the line is at 2.00")


if __name__ == "__main__":
    main()
