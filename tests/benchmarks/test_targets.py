"""The reasons for missed targets."""

from benchmarks import targets


def test_a_missed_target_is_bounded_by_what_was_measured():
    why = targets.reason("omniglot_5way_1shot", "reference", 1.2, 1.5, {"convolutions": 0.75})
    assert "Our time would have to be 20% shorter" in why
    assert "would have to take 5% instead of 25%" in why
    assert "the ratio would be 1.6." in why
    why = targets.reason("ant_sampling", "reference", 6.0, 10.0, {"physics_only": 0.8})
    assert "the ratio would be 7.5." in why


def test_reasons_are_given_for_targets_only():
    assert set(targets.REASONS) <= {(name, kind) for name in targets.TARGETS for kind in targets.KINDS}
