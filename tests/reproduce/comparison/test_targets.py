"""targets.yaml is read strictly: a mistake is an error that names the place."""

import pytest
from helpers import changed_copy

from maml_tf.errors import UsageError
from reproduce.comparison.targets import read_targets
from reproduce.paths import TARGETS

NONCONV = "omniglot_5way_1shot_nonconv_maml"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  direction: higher", "  direction: up", rf"targets.yaml: entries\[{NONCONV}\].direction: 'up'"),
        ("  metric: accuracy_percent", "  metrik: x", rf"entries\[{NONCONV}\]: unknown key 'metrik'"),
        ("omniglot_5way_5shot_nonconv_maml", NONCONV, rf"the id '{NONCONV}' is given 2 times"),
        (
            "duplicate_of: omniglot_5way_1shot_conv_maml",
            "duplicate_of: nothing",
            r"duplicate_of: there is no entry 'nothing'",
        ),
        ("paper_mean: 89.7", "paper_mean: null", rf"{NONCONV}: paper_mean: a target with a tolerance needs a number"),
        ("paper_mean: 89.7", "paper_mean: .nan", rf"{NONCONV}: paper_mean: a target with a tolerance needs a number"),
        (
            "value: 2.5",
            "value: -2.5",
            r"nonconv_maml\].tolerance: value: -2.5 is not allowed; expected a number above 0",
        ),
        ("  paper_mean: 89.7", "  paper_mean: 89.7\n  paper_mean: 12.3", "the key 'paper_mean' is given twice"),
        ("{type: abs, value: 2.5,", "{type: abs, value: 2.5, value: 9.5,", "the key 'value' is given twice"),
        ("\nentries:\n", "\nclaims: []\nentries:\n", "the key 'claims' is given twice"),
    ],
)
def test_a_wrong_targets_file_is_an_error_that_names_the_place(tmp_path, old, new, message):
    copy = changed_copy(TARGETS, tmp_path, old, new)
    with pytest.raises(UsageError, match=message):
        read_targets(copy)
