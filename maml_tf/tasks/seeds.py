"""Recorded seeds of the fixed task sets, apart from every training seed (those are (seed, 0); PROTOCOL 1.5)."""

TEST_TASKS = (1, 1)
VALIDATION_TASKS = (1, 2)
TUNING_TASKS = (1, 3)
MULTITASK_TASKS = (1, 4)
