"""The list of mutants is sound: `make mutants` runs it."""

import pytest
from tools import mutants


def test_every_mutant_changes_one_place_of_the_science_and_names_a_test():
    listed = mutants.read_mutants()
    assert len(listed) >= 80
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in listed}) == len(listed)
    assert all(mutant.old != mutant.new for mutant in listed)
    for mutant in listed:
        file, _, function = mutant.test.partition("::")
        source = (mutants.ROOT / "tests" / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in source, mutant.test


def test_a_text_that_stands_elsewhere_or_twice_is_an_error(tmp_path):
    path = tmp_path / "mutants.yaml"
    for old, times in (("nowhere to be found", 0), ("import", 5)):
        path.write_text(f'- file: maml_tf/training/adam.py\n  mutants:\n    - ["{old}", "x", "test_io.py"]\n')
        with pytest.raises(SystemExit, match=rf"'{old}' stands there \d+ times; expected once"):
            mutants.read_mutants(path)
        assert times != 1


def test_the_committed_page_lists_the_same_mutants_all_caught():
    listed = mutants.read_mutants()
    if not mutants.PAGE.exists():
        pytest.skip("no whole run is committed")
    assert mutants.PAGE.read_text(encoding="utf-8") == mutants.page([(mutant, mutants.CAUGHT) for mutant in listed])
