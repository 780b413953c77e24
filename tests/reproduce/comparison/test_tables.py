"""The comparison as text, Markdown and JSON: what readers see."""

import json
import math

from made_results import CONV, MAML, PRETRAINED, TARGETS, compare, curve, half_way, known_failure, result, row

from reproduce.comparison import verdicts as v
from reproduce.comparison.tables import (
    as_json,
    full_table,
    judged_share,
    markdown_table,
    summary,
    text_table,
    verdict_words,
)


def judged():
    return compare(result({MAML: 9.0, PRETRAINED: 2.5}), known=[known_failure()])


def test_tables_show_what_was_found():
    text, markdown = text_table(judged()), markdown_table(judged(), skip=(v.NOT_RUN, v.CITATION))
    for table in (text, markdown):
        assert "known failure (0 of 2 seeds inside)" in table
        assert "pass (2 of 2 seeds inside)" in table
    assert "maml, 1 step " in text
    assert "48.7 ± 1.84" in text  # as published
    assert f"* **{MAML}**: one diverges Tried: all" in markdown
    assert "matching_nets" in text
    assert "matching_nets" not in markdown
    assert "diverged" in text_table(compare(result({MAML: math.inf})))
    assert r"| \|second - first order\| <= 2.0" in markdown_table(judged())


def test_the_place_in_the_paper_is_printed_once():
    lines = text_table(judged()).splitlines()
    rows = [line for line in lines if "sinusoid 5-shot pretrained" in line or "sinusoid 5-shot maml" in line]
    assert [line.startswith("Table 2 / Figure 6") for line in rows] == [True] + [False] * 5
    assert len({line.index("sinusoid") for line in rows}) == 1


def test_words_of_verdicts():
    def words(mean, known=()):
        return verdict_words(row(compare(result({MAML: mean}), known=known), MAML))

    assert words(9.0) == "MISS"
    assert words(0.6) == "pass"
    assert words(9.0, [known_failure()]) == "known failure"
    assert words(9.0, [known_failure(flaky=True)]) == "known failure (flaky)"
    assert words(0.6, [known_failure(flaky=True)]) == "pass (flaky)"
    assert words(0.6, [known_failure()]) == "pass (unexpected)"
    assert verdict_words(row(compare(), MAML)) == "not run"
    assert verdict_words(row(compare(half_way({CONV: 98.0})), CONV)) == "pass (early: 35000 of 70000)"
    partial = result({MAML: 9.0}, profile="cpu", iterations_done=100)
    assert verdict_words(row(compare(partial), MAML)) == "partial: 100 of 70000 iterations"


def test_yours_has_a_column_where_there_is_one():
    assert "yours" not in text_table(judged()).splitlines()[0]
    both = compare(result({MAML: 0.6}), yours=[result({MAML: 0.61})])
    assert "| paper | published | yours | seeds |" in markdown_table(both)
    assert "| 0.67 | 0.6 ± 0.01 | 0.61 ± 0.01 | 2 | paper | pass (2 of 2 seeds inside) |" in markdown_table(both)
    drifted = compare(result({MAML: 0.6}), yours=[result({MAML: 9.0})])
    assert "| MISS (0 of 2 seeds inside; published: pass) |" in markdown_table(drifted)
    partial = compare(result({MAML: 0.6}), yours=[result({MAML: 9.0}, profile="cpu", iterations_done=7)])
    line = next(line for line in markdown_table(partial).splitlines() if "pass (2 of 2" in line)
    assert "0.6 ± 0.01 | 9 ± 0.01" in line
    assert "yours: partial: 7 of 70000 iterations" in line


def test_flaky_failures_are_explained_whether_they_pass_or_not():
    for mean, where in ((9.0, ""), (0.6, " (passes here)")):
        table = markdown_table(compare(result({MAML: mean}), known=[known_failure(flaky=True)]))
        assert f"* **{MAML}**{where}: one diverges Tried: all" in table


def test_the_summary_counts():
    counted = summary(judged())
    assert "1 known failure" in counted
    assert "1 pass" in counted
    assert "1 MISS" not in counted
    gated = sum(target.gated for target in TARGETS.entries)
    share = f"The published results judge 2 of {gated} gated targets and 0 of {len(TARGETS.claims)} claims."
    assert judged_share(judged()) == share


def test_json_is_the_same_twice_and_holds_no_infinity():
    assert json.dumps(as_json(judged())) == json.dumps(as_json(judged()))
    diverged = as_json(compare(result({MAML: math.inf}), yours=[result({MAML: 0.6})]))
    entry = next(entry for entry in diverged["targets"] if entry["id"] == MAML)
    assert (entry["published"]["mean"], entry["yours"]["mean"], entry["verdict"]) == (None, 0.6, "pass")
    json.dumps(diverged, allow_nan=False)


def test_a_full_table_shows_the_chosen_and_the_last_model():
    tested = {"1_shot": curve(20.0, 97.0, 98.0, 99.0), "1_shot_last_model": curve(20.0, 96.0, 97.0, 98.2)}
    comparison = compare(result({CONV: 99.0}, "omniglot", curves=tested), result({MAML: 0.6}))
    header, *lines = full_table(comparison).splitlines()
    assert "last model" in header
    conv = next(line for line in lines if line.startswith("omniglot 5-way 1-shot maml_conv, 3 steps"))
    assert conv.index(" 99 ") < conv.index("98.2")
    sinusoid = next(line for line in lines if line.startswith("sinusoid 5-shot maml, 1 step "))
    assert "98.2" not in sinusoid
