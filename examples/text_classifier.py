"""Few-shot classification of token sequences with an Embedding and an LSTM."""

import keras
import tensorflow as tf

import maml_tf as mt

WORDS, LENGTH, SHOTS, QUERIES = 20, 5, 10, 10


class KeywordTasks(mt.TaskDistribution):
    """Does the text have more of the task's good words than of its other words? Each task has its own good words."""

    def sample(self, seed: tf.Tensor, num_tasks: int) -> mt.TaskBatch:
        """Texts int32 [T, n, LENGTH] of word numbers from 1; 0 is padding. Labels int32 [T, n]."""
        text_seed, words_seed = mt.random.split(seed, 2)
        n = SHOTS + QUERIES
        texts = 1 + tf.cast(mt.random.uniform(text_seed, [num_tasks, n, LENGTH], 0.0, WORDS), tf.int32)
        # The words are of two kinds in every task; which of them is the good one is the task.
        turned = tf.cast(mt.random.uniform(words_seed, [num_tasks, 1, 1], 0.0, 2.0), tf.int32)
        good = (texts % 2 + turned) % 2
        labels = tf.cast(tf.reduce_sum(good, axis=-1) > LENGTH // 2, tf.int32)
        return mt.TaskBatch(texts[:, :SHOTS], labels[:, :SHOTS], texts[:, SHOTS:], labels[:, SHOTS:])


def make_model() -> keras.Model:
    """Word vectors, an LSTM that skips the padding, and two logits."""
    return keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            keras.layers.Embedding(WORDS + 1, 8, mask_zero=True),
            keras.layers.LSTM(8),
            keras.layers.Dense(2),
        ]
    )


def main() -> None:
    keras.utils.set_random_seed(0)
    learner = mt.MAML(make_model(), mt.losses.mean_cross_entropy, step_size=1.0, num_steps=1)
    checkpoint = mt.train(learner, KeywordTasks(), iterations=150, batch_size=2, learning_rate=0.01, seed=0)

    scores = mt.evaluate(
        learner, KeywordTasks(), params=checkpoint.params, num_tasks=50, num_steps=2, metric=mt.losses.accuracy
    )
    for step in range(1, 3):
        mean, half_width = 100 * scores.mean[step], 100 * scores.ci95[step]
        print(f"after {step} gradient steps: accuracy {mean:.1f} ± {half_width:.1f} %")


if __name__ == "__main__":
    main()
