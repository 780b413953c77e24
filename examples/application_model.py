"""Few-shot classification with a Keras application: MobileNetV2, whose batch norm uses each task's statistics."""

import keras
import numpy as np

import maml_tf as mt

WAYS, SHOTS, SIZE = 3, 2, 32


def make_classes(num_classes: int, images_per_class: int, seed: int) -> np.ndarray:
    """Synthetic colour images: each class is a pattern, each image of it the pattern with noise. Use your own instead.

    Returns:
        uint8 [classes, images, height, width, channels].
    """
    rng = np.random.default_rng(seed)
    patterns = np.kron(rng.random((num_classes, 1, 4, 4, 3)), np.ones((SIZE // 4, SIZE // 4, 1)))
    noise = rng.normal(scale=0.1, size=(num_classes, images_per_class, SIZE, SIZE, 3))
    return (255 * np.clip(patterns + noise, 0, 1)).astype(np.uint8)


def make_model() -> keras.Model:
    """The first two blocks of MobileNetV2 with fresh weights, and a classifier with Dropout on top."""
    whole = keras.applications.MobileNetV2((SIZE, SIZE, 3), alpha=0.35, include_top=False, weights=None)  # pyright: ignore
    features = keras.layers.GlobalAveragePooling2D()(whole.get_layer("block_1_project_BN").output)
    logits = keras.layers.Dense(WAYS)(keras.layers.Dropout(0.1)(features))
    return keras.Model(whole.input, logits)


def main() -> None:
    keras.utils.set_random_seed(0)
    train_tasks, test_tasks = (
        mt.tasks.Episodes(make_classes(20, 10, seed), ways=WAYS, shots=SHOTS, queries=3) for seed in (1, 2)
    )
    # batch_norm="running" would use running statistics in predictions; they are then a part of checkpoint.params.
    learner = mt.MAML(make_model(), mt.losses.mean_cross_entropy, step_size=0.1, num_steps=1, batch_norm="batch")
    checkpoint = mt.train(learner, train_tasks, iterations=40, batch_size=2, learning_rate=0.01, seed=0)

    scores = mt.evaluate(
        learner, test_tasks, params=checkpoint.params, num_tasks=50, num_steps=3, metric=mt.losses.accuracy
    )
    for step in range(1, 4):
        mean, half_width = 100 * scores.mean[step], 100 * scores.ci95[step]
        print(f"after {step} gradient steps: accuracy {mean:.1f} ± {half_width:.1f} % on classes not seen in training")


if __name__ == "__main__":
    main()
