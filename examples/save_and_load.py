"""Adapt a model to a task, save it as a .keras file, load it in another process and predict."""

import pathlib
import subprocess
import sys
import tempfile

import keras
import numpy as np

import maml_tf as mt

# Keras alone loads the file. A model with layers of this library needs `import maml_tf` too.
PREDICT = """
import sys
import keras
import numpy as np

model = keras.models.load_model(sys.argv[1])
print(model.predict(np.array([[0.5]], np.float32), verbose=0)[0, 0])
"""


def main() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(40, "relu"), keras.layers.Dense(40, "relu"), keras.layers.Dense(1)]
    )
    learner = mt.MAML(model, mt.losses.mean_squared_error, step_size=0.01, num_steps=1)
    tasks = mt.tasks.SinusoidTasks(shots=10, queries=10)
    checkpoint = mt.train(learner, tasks, iterations=1000, batch_size=25, learning_rate=0.001, seed=0)

    x = np.linspace(-5, 5, 10, dtype=np.float32)[:, np.newaxis]
    adapted = learner.adapt(x, np.sin(x), num_steps=100, params=checkpoint.params)
    here = adapted.predict(np.array([[0.5]], np.float32))[0, 0]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "sine.keras"
        adapted.keras_model().save(path)
        command = [sys.executable, "-c", PREDICT, str(path)]
        there = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(f"prediction at 0.5: {here:.6f} here, {there:.6f} after loading in another process")
    print(f"the sine is at {np.sin(0.5):.2f}")


if __name__ == "__main__":
    main()
