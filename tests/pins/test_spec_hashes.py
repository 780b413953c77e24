"""The specs have the hashes and run folders that are pinned: trainings under way and published stay theirs."""

import json

from pins import update
from pins.spec_hashes import spec_hashes


def test_specs_name_the_pinned_run_folders():
    pinned, now = update.read("spec_hashes"), spec_hashes()
    changed = [
        f"{spec} ({profile}): {json.dumps(entry)} became {json.dumps(now.get(spec, {}).get(profile))}"
        for spec, profiles in pinned.items()
        for profile, entry in profiles.items()
        if now.get(spec, {}).get(profile) != entry
    ]
    assert not changed, "\n".join(changed)
    new = [(spec, profile) for spec in now for profile in now[spec] if profile not in pinned.get(spec, {})]
    assert not new, f"no pins for {new}: python tests/pins/update.py spec_hashes"
