"""Few-shot classification with your own Keras model: N-way K-shot tasks from labelled images in memory."""

import keras
import numpy as np

import maml_tf as mt

WAYS, SHOTS, SIZE = 5, 1, 12


def make_classes(num_classes: int, images_per_class: int, seed: int) -> np.ndarray:
    """Synthetic images: each class is a pattern, each image of it the pattern with noise. Use your own instead.

    Returns:
        uint8 [classes, images, height, width, channels].
    """
    rng = np.random.default_rng(seed)
    patterns = np.kron(rng.random((num_classes, 1, SIZE // 3, SIZE // 3, 1)), np.ones((3, 3, 1)))
    noise = rng.normal(scale=0.2, size=(num_classes, images_per_class, SIZE, SIZE, 1))
    return (255 * np.clip(patterns + noise, 0, 1)).astype(np.uint8)


def make_model() -> keras.Model:
    """Any Keras model works; the last layer has one output per way."""
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1)),
            keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(WAYS),
        ]
    )


def main() -> None:
    keras.utils.set_random_seed(0)
    train_tasks, test_tasks = (
        mt.tasks.Episodes(make_classes(40, 20, seed), ways=WAYS, shots=SHOTS, queries=5) for seed in (1, 2)
    )
    learner = mt.MAML(make_model(), mt.losses.mean_cross_entropy, step_size=0.1, num_steps=1)
    checkpoint = mt.train(learner, train_tasks, iterations=300, batch_size=8, learning_rate=0.003, seed=0)

    scores = mt.evaluate(
        learner, test_tasks, params=checkpoint.params, num_tasks=200, num_steps=3, metric=mt.losses.accuracy
    )
    for step in range(1, 4):
        mean, half_width = 100 * scores.mean[step], 100 * scores.ci95[step]
        print(f"after {step} gradient steps: accuracy {mean:.1f} ± {half_width:.1f} % on classes not seen in training")


if __name__ == "__main__":
    main()
