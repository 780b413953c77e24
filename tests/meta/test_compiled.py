"""Compiled functions of one learner each."""

import logging

import pytest
import tensorflow as tf

from maml_tf.meta.compiled import compiled


@pytest.fixture
def warnings_of_retracing():
    """The messages in which TensorFlow warns of retracing."""
    messages = []

    class Handler(logging.Handler):
        def emit(self, record):
            messages.extend([record.getMessage()] if "retracing" in record.getMessage() else [])

    handler, logger = Handler(), tf.get_logger()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    yield messages
    logger.removeHandler(handler)
    logger.setLevel(level)


def of_learner(compile_function):
    """A function of one learner; all of them have the same source code."""

    def function(x):
        return x + 1

    return compile_function(function)


def test_the_functions_of_many_learners_are_not_retraced(warnings_of_retracing):
    for _ in range(6):
        assert int(of_learner(compiled)(tf.constant(1))) == 2
    assert not warnings_of_retracing
    for _ in range(6):
        of_learner(tf.function)(tf.constant(1))
    assert warnings_of_retracing  # TensorFlow counts by source code


def test_retracing_of_one_function_is_warned_of(warnings_of_retracing):
    function = of_learner(compiled)
    for n in range(6):
        function(n)
    assert len(warnings_of_retracing) >= 1
