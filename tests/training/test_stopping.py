"""Signals: the first one is noted, a second one or one in repeatable work raises."""

import os
import signal
import threading

import pytest

from maml_tf.training.stopping import StopRequest, TrainingStoppedError, raise_for_signals


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_one_raises(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        send(number)
        assert stop.number == number
        with pytest.raises(TrainingStoppedError) as told:
            send(number)
        with pytest.raises(TrainingStoppedError), stop.at_once():
            pytest.fail("work is not begun after a signal")
    assert told.value.number == number
    assert isinstance(told.value, KeyboardInterrupt)
    assert signal.getsignal(number) is before


def test_repeatable_work_is_broken_off_at_once():
    with StopRequest() as stop:
        with pytest.raises(TrainingStoppedError), stop.at_once():
            send(signal.SIGTERM)
        stop.number = None
        send(signal.SIGTERM)
        assert stop.number == signal.SIGTERM


def test_another_thread_is_left_alone():
    before = signal.getsignal(signal.SIGTERM)

    def use():
        raise_for_signals()
        with StopRequest() as stop, stop.at_once():
            pass

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_can_be_made_an_exception():
    before = signal.getsignal(signal.SIGTERM)
    try:
        raise_for_signals()
        with pytest.raises(TrainingStoppedError):
            send(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
