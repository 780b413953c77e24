"""Groups on workers: their order, a lost worker, a worker that comes later. No process is started here."""

import threading

import pytest

from maml_tf.errors import UsageError
from maml_tf.training import workers as module
from maml_tf.training.workers import LOSSES, Host, LocalWorkers, WorkerLostError, Workers


class FakeWorkers(Workers):
    """Workers that are numbers. They compute (group, the worker's number, shared) and are lost as a test says."""

    def __init__(self, num_workers, lost_at=(), late=(), always_lost=False):
        super().__init__(num_workers)
        self.started, self.ended, self.calls = 0, [], 0
        self.lost_at, self.late, self.always_lost = set(lost_at), set(late), always_lost

    def _start(self, sent):
        self.started += 1
        return self.started

    def _some_ready(self, workers, seconds):
        return [worker for worker in workers if worker not in self.late]

    def _check(self, worker):
        if self.always_lost:
            raise WorkerLostError("its machine has no maml_tf")

    def _call(self, worker, method, calls, shared):
        self.calls += 1
        return self.calls, worker, [(group, method, *arguments, worker, *shared) for group, arguments in calls]

    def _result(self, pending):
        number, worker, found = pending
        if number in self.lost_at:
            raise WorkerLostError(f"worker {worker}")
        return found

    def _end(self, worker):
        self.ended.append(worker)


class Adder:
    """An object that a worker holds; it remembers the threads that called it."""

    def __init__(self):
        self.threads = set()

    def add(self, group, a, b):
        self.threads.add(threading.get_ident())
        return group, a + b


@pytest.mark.parametrize("cores", [1, 2])
def test_a_host_calls_its_object_in_threads_that_stay(monkeypatch, cores):
    held = Adder()
    monkeypatch.setattr("maml_tf.training.sending.from_bytes", lambda sent: held)
    host = Host(b"", cores, configure=False)
    for _ in range(5):
        assert host.call("add", [(3, (1,)), (5, (2,))], 10) == [(3, 11), (5, 12)]
    assert len(held.threads) <= cores


def mapped(workers, groups=5):
    return workers.repeated(lambda: workers.map("f", [(10 * group,) for group in range(groups)], ["s"]))


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_results_come_in_the_order_of_the_groups(number):
    workers = FakeWorkers(number)
    workers.open(b"")
    found = mapped(workers)
    assert [result[:3] + result[4:] for result in found] == [(g, "f", 10 * g, "s") for g in range(5)]
    assert len({result[3] for result in found}) == number
    assert found == mapped(workers)  # the same worker for the same group
    workers.close()
    assert sorted(workers.ended) == list(range(1, number + 1))


def test_a_lost_worker_is_replaced_and_the_work_is_repeated(capsys):
    workers = FakeWorkers(3, lost_at={2})
    workers.open(b"")
    assert {result[3] for result in mapped(workers)} == {1, 3, 4}
    assert workers.ended == [2]
    assert workers.calls == 6
    assert "a worker was lost and is replaced; its iteration is repeated (worker 2)" in capsys.readouterr().err


def test_the_others_go_on_while_the_replacement_starts():
    workers = FakeWorkers(2, lost_at={1}, late={3})
    workers.open(b"")
    assert {result[3] for result in mapped(workers)} == {2}
    workers.late.clear()
    assert {result[3] for result in mapped(workers)} == {2, 3}


def test_a_training_begins_without_the_workers_that_are_late(monkeypatch, capsys):
    monkeypatch.setattr(module, "SECONDS_FOR_ALL", 0)
    workers = FakeWorkers(3, late={2})
    workers.open(b"")
    assert {result[3] for result in mapped(workers)} == {1, 3}
    assert "2 of 3 workers are ready" in capsys.readouterr().err


def test_no_worker_at_all_is_an_error(monkeypatch):
    monkeypatch.setattr(module, "SECONDS_FOR_ONE", 0)
    workers = FakeWorkers(2, late={1, 2})
    workers.open(b"")
    with pytest.raises(RuntimeError, match=r"none of 2 was ready after 0 s; are there free cores\?"):
        mapped(workers)


@pytest.mark.parametrize("trouble", [{"lost_at": range(1000)}, {"always_lost": True}])
def test_workers_that_are_lost_again_and_again_are_an_error(trouble):
    workers = FakeWorkers(1, **trouble)
    workers.open(b"")
    with pytest.raises(RuntimeError, match=f"workers: {LOSSES} were lost in one iteration, the last one with: "):
        mapped(workers)


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "2"])
def test_the_number_is_a_whole_number(number):
    with pytest.raises(UsageError, match=r"num_workers: .* is not allowed; expected a whole number from 1"):
        LocalWorkers(number)
