"""The committed weights give the pinned numbers, up to what rounding explains."""

import pytest
from pins import update, weights
from pins.rounding import assert_pinned

PINS = update.read("weights")


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    weights.write_images(folder)
    return folder


def test_every_committed_file_is_pinned():
    files = {f"{spec}/{path.name}" for spec, paths in weights.checkpoints().items() for path in paths}
    assert files == PINS.keys(), "python tests/pins/update.py weights"


@pytest.mark.parametrize("spec", weights.checkpoints())
def test_weights_give_the_pinned_numbers(spec, data_folder):
    for file, digest in weights.sha256_of(spec).items():
        assert digest == PINS[file]["sha256"], f"reproduce/checkpoints/{file} is not the file that is pinned"
    for file, numbers in weights.numbers_of(spec, data_folder).items():
        assert PINS[file].keys() == {"sha256", *numbers}
        for name, (found, allowed) in numbers.items():
            assert_pinned(f"{file}: {name}", found, PINS[file][name], allowed)
