"""The table of a sweep and what is said about failures."""

from maml_tf.sweep.states import State
from maml_tf.sweep.sweep import rows_of
from maml_tf.sweep.table import Display, counts, failures, table


def test_the_table_has_states_iterations_rates_and_remaining_times(training, a_test_of):
    job = training("one")
    running, test = rows_of([job, a_test_of(job)])
    running.state, running.tries = State.RUNNING, 1
    running.reached = running.reached._replace(iteration=4, seconds=2.0)
    assert [line.split() for line in table([running, test])[1:]] == [
        ["training", "one", "running", "4/6", "2", "0:01", "1"],
        ["the", "test", "waiting", "-", "-", "-", "0"],
    ]
    assert counts([running, test]) == "2 jobs: 1 waiting, 1 running"


def test_a_failure_is_told_with_the_end_of_its_log(training, capsys):
    (row,) = rows_of([training("one")])
    display = Display()
    display([row])
    row.job.log.write_text("$ python\nTraceback\nValueError: no\n")
    row.state, row.tries, row.reason = State.WAITING, 1, "ended with exit code 2"
    display([row])
    row.state, row.tries = State.FAILED, 2
    display([row])
    assert capsys.readouterr().err.splitlines() == [
        "training one: ended with exit code 2; it is tried again",
        "training one: failed",
    ]
    first, *log = failures([row])
    assert first.startswith("training one: ended with exit code 2 (try 2); the end of ")
    assert log == ["    Traceback", "    ValueError: no"]
