"""Peers' numbers: every one belongs to a target, and says what its interval means."""

import pytest
from made_results import BY_ID, MAML, TARGETS

from maml_tf.errors import UsageError
from reproduce.comparison.peers import best_first, read_peers
from reproduce.paths import PEERS

ENTRY = "target: sinusoid_5shot_maml_step1, value: 0.7, source: s, tag: t"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "- {target: nothing, value: 1, source: s, tag: t}",
            r"peers.yaml: \[0\].target: targets.yaml has no id 'nothing'",
        ),
        ("- {target: x, value: 1, source: s}", r"\[0\]: the key 'tag' is missing"),
        (f"- {{{ENTRY}, ci: 1}}", r"\[0\]: unknown key 'ci'; allowed are target, value"),
        (f"- {{{ENTRY}, ci95: 0.1, sd_seeds: 0.1}}", r"\[0\]: ci95, sd_seeds: one of the two is allowed"),
        (f"- {{{ENTRY}, ci95: -0.1}}", r"\[0\]: ci95: -0.1 is not allowed; expected a number above 0"),
        (f"- {{{ENTRY}, value: 0.8}}", "the key 'value' is given twice"),
        ("- {target: x, value: .nan, source: s, tag: t}", r"\[0\]: value: nan is not allowed"),
        ("- {target: x, value: 1, source: ' ', tag: t}", r"\[0\]: source: an empty text is not allowed"),
        (f"- {{{ENTRY}}}\n- {{{ENTRY}}}", r"\[1\]: the same entry is given twice"),
        ("target: x", "a list of entries with the keys target, value, source, tag"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_place(tmp_path, text, message):
    (tmp_path / "peers.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_peers(tmp_path / "peers.yaml", TARGETS)


def test_every_peer_belongs_to_a_target_of_the_papers_own():
    peers = read_peers(PEERS, TARGETS)
    assert len(peers) >= 31
    for peer in peers:
        assert BY_ID[peer.target].reproduce, peer


def test_the_best_comes_first_and_mere_claims_last(tmp_path):
    lines = [f"- {{target: {MAML}, value: {value}, source: s, tag: t}}" for value in (0.7, 0.5, 0.9)]
    lines.append(f"- {{target: {MAML}, value: 0.1, source: s, tag: t, claim: true}}")
    (tmp_path / "peers.yaml").write_text("\n".join(lines))
    peers = read_peers(tmp_path / "peers.yaml", TARGETS)
    assert [peer.value for peer in best_first(peers, BY_ID[MAML])] == [0.5, 0.7, 0.9, 0.1]
    committed = best_first(read_peers(PEERS, TARGETS), BY_ID["omniglot_20way_1shot_conv_maml"])
    assert committed[0].value == max(peer.value for peer in committed)
