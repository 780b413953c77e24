"""The list of known failures is checked; the committed one belongs to the committed results."""

import pytest
from made_results import MAML, TARGETS

from maml_tf.errors import UsageError
from reproduce.comparison import load_comparison
from reproduce.comparison.known_failures import read_known_failures


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {id: nothing, group: g, cause: a, tried: b, since: c}", "known.yaml: nothing: targets.yaml has no such id"),
        (f"- {{id: {MAML}, group: g, cause: a}}", r"known.yaml: \[0\]: the key 'tried' is missing"),
        (f"- {{id: {MAML}, cause: a, tried: b, since: c}}", r"known.yaml: \[0\]: the key 'group' is missing"),
        (f"- {{id: {MAML}, group: g, cause: a, tried: b, since: c}}\n" * 2, f"known.yaml: {MAML}: is listed twice"),
        (
            "- {id: sinusoid_10shot_maml_curve, group: g, cause: a, tried: b, since: c}",
            "sinusoid_10shot_maml_curve: targets.yaml does not gate it",
        ),
        (f"- {{id: {MAML}, group: g, cause: a, cause: b, tried: b, since: c}}", "the key 'cause' is given twice"),
        ("id: x", "a list of entries with the keys id, group"),
    ],
)
def test_a_wrong_list_is_an_error(tmp_path, text, message):
    path = tmp_path / "known.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_known_failures(path, TARGETS)


def test_an_empty_list_is_allowed(tmp_path):
    (tmp_path / "known.yaml").write_text("")
    assert read_known_failures(tmp_path / "known.yaml", TARGETS) == ()


def test_every_listed_failure_of_the_record_fails_or_is_flaky():
    comparison = load_comparison()
    listed = [row for row in comparison.all_rows if row.known_failure is not None]
    assert len(listed) == len(comparison.known_failures) > 0
    assert not [row.target.id for row in listed if not row.explained]
    assert len({failure.group for failure in comparison.known_failures}) < len(comparison.known_failures)
