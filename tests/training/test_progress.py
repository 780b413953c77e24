"""Progress without a terminal: plain lines, with rate and remaining time."""

from maml_tf.training import progress


def test_plain_lines_where_the_output_is_no_terminal(capsys, monkeypatch):
    now = iter([0.0, 1.0, 20.0, 30.0, 30.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with progress.Progress("training", 100, done=20) as shown:
        shown.update(30, loss=0.5)  # too early for a line
        shown.update(60, loss=0.25)
        shown.update(100)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "training: 60/100 (2 it/s, 0:20 remaining), loss 0.25"
    assert lines[-1] == "training: 100 iterations done in 0:30"
    assert len(lines) == 2
