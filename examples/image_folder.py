"""Few-shot classification of your own image files: one folder for each class, `folder/class/*.png`."""

import pathlib
import tempfile

import keras
import numpy as np
from PIL import Image

import maml_tf as mt

WAYS, SHOTS, SHAPE = 3, 1, (12, 12, 1)


def write_images(folder: pathlib.Path) -> None:
    """Synthetic image files, 30 classes of 6 to 9 images. Use a folder of your own instead."""
    rng = np.random.default_rng(0)
    for number in range(30):
        pattern = np.kron(rng.random((4, 4)), np.ones((6, 6)))
        (folder / f"class_{number:02d}").mkdir(parents=True)
        for image in range(rng.integers(6, 10)):
            pixels = 255 * np.clip(pattern + rng.normal(scale=0.2, size=pattern.shape), 0, 1)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"class_{number:02d}" / f"{image}.png")


def main() -> None:
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_images(folder / "images")
        images = mt.tasks.read_image_folder(folder / "images", SHAPE, cache=folder / "cache")
        splits = mt.tasks.split_classes(images, seed=0)  # no class is in two of train, validation and test
        train_tasks, test_tasks = (
            mt.tasks.Episodes(splits[split], ways=WAYS, shots=SHOTS, queries=3) for split in ("train", "test")
        )
    model = keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(32, "relu"), keras.layers.Dense(WAYS)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner = mt.MAML(model, loss, step_size=0.1, num_steps=1)
    checkpoint = mt.train(learner, train_tasks, iterations=300, batch_size=8, optimizer=keras.optimizers.Adam(0.003))

    scores = mt.evaluate(learner, test_tasks, params=checkpoint.params, num_tasks=200, num_steps=3, metric="accuracy")
    print(scores)
    print(f"accuracy {100 * scores.query_mean[3]:.1f} ± {100 * scores.query_ci95[3]:.1f} % on classes not seen before")


if __name__ == "__main__":
    main()
