"""The list of licences names every package of the lock, and none that would bind users of this one."""

from tools import licences


def test_every_package_has_a_licence():
    text = licences.PAGE.read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    assert [(name, version) for name, version, _ in rows[1:]] == licences.locked()
    for name, _, licence in rows[1:]:
        assert licence, name
        assert "GPL" not in licence or "LGPL" in licence, name
