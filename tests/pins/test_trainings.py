"""Short trainings give the pinned numbers, up to what rounding explains."""

import gc

import keras
import pytest
from pins import trainings, update
from pins.rounding import assert_pinned

PINS = update.read("trainings")


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    trainings.write_images(folder)
    return folder


@pytest.fixture(autouse=True)
def _free_memory():
    yield
    keras.backend.clear_session()
    gc.collect()


def test_every_case_is_pinned():
    assert trainings.CASES.keys() == PINS.keys(), "python tests/pins/update.py trainings"


@pytest.mark.parametrize("name", trainings.CASES)
def test_training_gives_the_pinned_numbers(name, data_folder):
    numbers = trainings.numbers_of(name, data_folder)
    assert PINS[name].keys() == numbers.keys()
    for key, (found, allowed) in numbers.items():
        assert_pinned(f"{name}: {key}", found, PINS[name][key], allowed)
