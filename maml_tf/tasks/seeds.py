"""Recorded seeds of the fixed task sets (PROTOCOL 1.5).

Supervised trainings draw from (seed, 0), apart from all of them. Policies train on streams of [seed, iteration]:
that of seed 1, iteration 1 is the one of the test, though not its goals.
"""

TEST_TASKS = (1, 1)
VALIDATION_TASKS = (1, 2)
TUNING_TASKS = (1, 3)
MULTITASK_TASKS = (1, 4)
