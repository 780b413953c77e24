"""The gate fails on what is new: a miss, a known failure that passes, results that are missing."""

import pytest
from made_results import MAML, compare, known_failure, result

from maml_tf.errors import UsageError
from reproduce import paths
from reproduce.comparison import load_comparison
from reproduce.comparison.gate import Judged, gate, judged_by_published, read_expected

MISS = result({MAML: 9.0})
PASS = result({MAML: 0.6})


def test_a_miss_fails_unless_it_is_known():
    message = f"{MAML}: published: outside its tolerance and not a known failure. 0 of 2 seeds inside"
    assert gate(compare(MISS)) == (1, [message])
    assert gate(compare(MISS, known=[known_failure()])) == (0, [])


def test_a_known_failure_that_passes_fails_unless_it_is_flaky():
    message = f"{MAML}: passes; remove it from the list of known failures"
    assert gate(compare(PASS, known=[known_failure()])) == (1, [message])
    assert gate(compare(PASS, known=[known_failure(flaky=True)])) == (0, [])
    assert gate(compare(MISS, known=[known_failure(flaky=True)])) == (0, [])
    assert gate(compare(known=[known_failure()])) == (0, [])


def test_yours_fails_where_it_drifts_from_the_paper():
    code, messages = gate(compare(PASS, yours=[MISS]))
    assert (code, messages[0].startswith(f"{MAML}: yours: outside its tolerance")) == (1, True)
    assert gate(compare(MISS, yours=[PASS]))[0] == 1  # a good run of yours does not mend the record
    assert gate(compare(MISS, yours=[PASS], known=[known_failure()])) == (0, [])
    assert gate(compare(MISS, yours=[MISS], known=[known_failure()])) == (0, [])


def test_missing_results_fail():
    expected = Judged(targets=1, claims=0)
    assert gate(compare(PASS), expected) == (0, [])
    code, messages = gate(compare(), expected)
    assert (code, len(messages)) == (1, 1)
    assert messages[0].startswith("the published results judge 0 targets, reproduce/gate.yaml expects 1 or more")
    assert gate(compare(yours=[PASS]), expected)[0] == 1  # yours does not stand in for a published result
    code, messages = gate(compare(PASS), Judged(targets=1, claims=1))
    assert (code, messages[0].startswith("the published results judge 0 claims")) == (1, True)


def test_a_wrong_gate_file_is_an_error(tmp_path):
    path = tmp_path / "gate.yaml"
    for text, message in (
        ("targets: 1", "gate.yaml: the key 'claims' is missing"),
        ("targets: many\nclaims: 1", "gate.yaml: targets: 'many' is not allowed"),
        ("targets: -1\nclaims: 1", "expected whole numbers from 0"),
        ("targets: 1\ntargets: 2\nclaims: 1", "the key 'targets' is given twice"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=message):
            read_expected(path)


def test_the_committed_numbers_are_those_of_the_record():
    assert read_expected(paths.GATE) == judged_by_published(load_comparison()), "make publish raises them"
