"""The reference of all speed-ups: MAML in TensorFlow 2 built as the authors' published code is.

There is one `tf.map_fn` over the tasks, all of which may run in parallel, in graph mode without XLA. Each iteration is
one Python call, batch norm consists of elementary operations, and TensorFlow chooses the threads. The sinusoid's tasks
are drawn with NumPy and fed. A test set is evaluated one task per call.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.benchmark import Arrays, Benchmark, batch_of, hidden_layers, repeated, versions_of, weights_of

NORM_EPSILON = 1e-3
BLOCKS = (1, 2, 3, 4)


def prepare(name: str, problem: dict[str, Any], arrays: Arrays) -> Benchmark:
    """See `benchmarks.implementations`."""
    weights = {key: tf.Variable(value) for key, value in weights_of(problem, arrays).items()}
    batch = [tf.constant(array) for array in batch_of(arrays)]
    if problem["kind"] == "evaluation":
        return _evaluation(problem, weights, batch)
    meta_gradients = tf.function(lambda *batch: _meta_gradients(problem, weights, batch), autograph=False)
    if problem["kind"] == "training":
        return _training(problem, weights, meta_gradients)
    return Benchmark(repeated(lambda: meta_gradients(*batch)), lambda gradients: [np.asarray(g) for g in gradients])


def versions() -> dict[str, str]:
    """Versions of the packages that this implementation runs on."""
    return versions_of("tensorflow", "numpy")


def _meta_gradients(problem, weights, batch):
    weights = {name: tf.convert_to_tensor(variable) for name, variable in weights.items()}

    def task_loss(task):
        support_x, support_y, query_x, query_y = task
        fast = weights
        for _ in range(problem["steps"]):
            fast = _inner_step(problem, fast, support_x, support_y)
        return _loss(problem, query_y, forward(problem["network"], fast, query_x))

    with tf.GradientTape() as tape:
        tape.watch(list(weights.values()))
        losses = tf.map_fn(
            task_loss, tuple(batch), fn_output_signature=batch[0].dtype, parallel_iterations=problem["tasks"]
        )
        loss = tf.reduce_mean(losses)
    return tape.gradient(loss, list(weights.values()))


def _inner_step(problem, weights, x, y):
    adaptable = [name for name, adapted in zip(problem["names"], problem["adaptable"], strict=True) if adapted]
    with tf.GradientTape() as tape:
        tape.watch([weights[name] for name in adaptable])
        loss = _loss(problem, y, forward(problem["network"], weights, x))
    gradients = tape.gradient(loss, [weights[name] for name in adaptable])
    if problem["first_order"]:
        gradients = [tf.stop_gradient(gradient) for gradient in gradients]
    steps = zip(adaptable, gradients, strict=True)
    return weights | {name: weights[name] - problem["step_size"] * gradient for name, gradient in steps}


def _loss(problem, y, predictions):
    if "shots" not in problem:
        return tf.reduce_mean(tf.square(predictions - y))
    return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(y, predictions)) / problem["shots"]


def forward(network: str, weights: dict[str, tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """The network's predictions [n, outputs] for x [n, ...] with weights {name: value}."""
    if network == "mlp":
        x = tf.reshape(x, [x.shape[0], -1])
        for i in hidden_layers(weights):
            x = tf.matmul(x, weights[f"dense_{i}/kernel"]) + weights[f"dense_{i}/bias"]
            if f"norm_{i}/beta" in weights:
                x = _normalize(x, weights[f"norm_{i}/beta"])
            x = tf.nn.relu(x)
        return tf.matmul(x, weights["output/kernel"]) + weights["output/bias"]
    stride = 2 if network == "omniglot_conv" else 1
    for i in BLOCKS:
        x = tf.nn.conv2d(x, weights[f"conv_{i}/kernel"], stride, "SAME") + weights[f"conv_{i}/bias"]
        x = tf.nn.relu(_normalize(x, weights[f"norm_{i}/beta"]))
        if network == "mini_imagenet_conv":
            x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    x = tf.reduce_mean(x, [1, 2]) if network == "omniglot_conv" else tf.reshape(x, [x.shape[0], -1])
    return tf.matmul(x, weights["output/kernel"]) + weights["output/bias"]


def _normalize(x, beta):
    """Normalises over batch and space. The second derivative of `tf.nn.moments` is wrong in TensorFlow 2."""
    axes = list(range(x.shape.rank - 1))
    centred = x - tf.reduce_mean(x, axes)
    return centred * tf.math.rsqrt(tf.reduce_mean(tf.square(centred), axes) + NORM_EPSILON) + beta


def _training(problem, weights, meta_gradients):
    adam = tf.keras.optimizers.Adam(problem["learning_rate"], epsilon=1e-8)
    adam.build(list(weights.values()))
    rng = np.random.default_rng(1)
    n = problem["support"]

    @tf.function(autograph=False)
    def train(*batch):
        adam.apply(meta_gradients(*batch), list(weights.values()))

    def step():
        x, y = np.zeros((2, problem["tasks"], n + problem["queries"], 1), np.float32)
        for task in range(problem["tasks"]):
            amplitude, phase = rng.uniform(0.1, 5.0), rng.uniform(0, np.pi)
            x[task] = rng.uniform(-5.0, 5.0, x[task].shape)
            y[task] = amplitude * np.sin(x[task] - phase)
        train(*(tf.constant(part) for part in (x[:, :n], y[:, :n], x[:, n:], y[:, n:])))

    return Benchmark(repeated(step))


def _evaluation(problem, weights, batch):
    weights = {name: tf.convert_to_tensor(variable) for name, variable in weights.items()}

    @tf.function(autograph=False)
    def scores(support_x, support_y, query_x, query_y):
        fast = weights
        accuracies = [_accuracy(support_y, forward(problem["network"], fast, support_x))]
        for _ in range(problem["steps"]):
            fast = _inner_step(problem, fast, support_x, support_y)
            accuracies.append(_accuracy(query_y, forward(problem["network"], fast, query_x)))
        return tf.stack(accuracies)

    tasks = list(zip(*(tf.unstack(tensor) for tensor in batch), strict=True))
    return Benchmark(
        repeated(lambda: np.stack([scores(*task).numpy() for task in tasks])), lambda all_scores: [all_scores]
    )


def _accuracy(y, logits):
    return tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, -1, output_type=y.dtype), y), tf.float32))
