"""The status line and the table 'results at a glance': a row for each cell of a table and each panel of a figure."""

import collections

from reproduce.comparison.pages.markdown import measured, number, table, value
from reproduce.comparison.peers import best_first
from reproduce.comparison.verdicts import BETTER, EARLY, MISS, NOT_RUN, PARTIAL, PASS
from reproduce.comparison.wrong_programs import passes

# (where, what, the targets of the row)
GLANCE = [
    ("Table 1", "Omniglot 5-way 1-shot, no convolutions", ["omniglot_5way_1shot_nonconv_maml"]),
    ("", "Omniglot 5-way 5-shot, no convolutions", ["omniglot_5way_5shot_nonconv_maml"]),
    ("", "Omniglot 5-way 1-shot", ["omniglot_5way_1shot_conv_maml"]),
    ("", "Omniglot 5-way 5-shot", ["omniglot_5way_5shot_conv_maml"]),
    ("", "Omniglot 20-way 1-shot", ["omniglot_20way_1shot_conv_maml"]),
    ("", "Omniglot 20-way 5-shot", ["omniglot_20way_5shot_conv_maml"]),
    ("", "mini-ImageNet 5-way 1-shot", ["miniimagenet_5way_1shot_maml"]),
    ("", "mini-ImageNet 5-way 5-shot", ["miniimagenet_5way_5shot_maml"]),
    ("", "mini-ImageNet 1-shot, first order", ["miniimagenet_5way_1shot_maml_first_order"]),
    ("", "mini-ImageNet 5-shot, first order", ["miniimagenet_5way_5shot_maml_first_order"]),
    ("Table 2", "sinusoid, error after 1, 5, 10 steps", [f"sinusoid_5shot_maml_step{n}" for n in (1, 5, 10)]),
    ("Table 3", "context vector, Omniglot 5-way 1-shot", ["omniglot_5way_1shot_context_vector"]),
    ("", "context vector, Omniglot 5-way 5-shot", ["omniglot_5way_5shot_context_vector"]),
    ("Figure 4", "2D navigation, return", [f"rl_2d_navigation_maml_step{n}" for n in (1, 2, 3)]),
    ("Figure 5", "half-cheetah, goal velocity", [f"rl_half_cheetah_goal_velocity_maml_step{n}" for n in (1, 2, 3)]),
    ("", "half-cheetah, direction", [f"rl_half_cheetah_forward_backward_maml_step{n}" for n in (1, 2, 3)]),
    ("", "ant, goal velocity", [f"rl_ant_goal_velocity_maml_step{n}" for n in (1, 2, 3)]),
    ("", "ant, direction", [f"rl_ant_forward_backward_maml_step{n}" for n in (1, 2, 3)]),
    ("Table 4", "context vector, 2D navigation", [f"rl_2d_navigation_context_vector_step{n}" for n in (1, 2, 3)]),
    (
        "Table 5",
        "context vector, half-cheetah",
        [f"rl_half_cheetah_forward_backward_context_vector_step{n}" for n in (1, 2, 3)],
    ),
]


def status(record, page) -> str:
    """One line: how many gated numbers pass, fail or are not at paper scale."""
    gated = [row for row in record.comparison.rows if row.target.gated]
    counts = collections.Counter(row.verdict for row in gated)
    parts = [
        (counts[PASS] + counts[BETTER], "pass"),
        (counts[EARLY], "pass at the half-way mark"),
        (counts[MISS], "known failures"),
        (counts[PARTIAL], "at a part of the paper's iterations"),
        (counts[NOT_RUN], "not run"),
    ]
    shown = ", ".join(f"{count} {what}" for count, what in parts if count)
    held_numbers, informative = passes(record.comparison)
    claims = [row for row in record.comparison.claims if row.verdict in (PASS, MISS)]
    held = sum(row.verdict == PASS for row in claims)
    return (
        f"**{len(gated)} gated numbers: {shown}. {informative} of the {held_numbers} passes are informative: no wrong "
        f"program that was tried gets them. Of the paper's {len(record.comparison.claims)} statements about them "
        f"{len(claims)} can be judged, {held} hold.**"
    )


def glance(record, page) -> str:
    """The table: paper, best peer, ours and the verdict of each row."""
    rows = [[where, what, *_cells(record, [record.rows[id_] for id_ in ids])] for where, what, ids in GLANCE]
    return table(["", "", "paper", "best peer", "ours", "verdict"], rows)


def _cells(record, rows):
    peers = [best_first(record.comparison.peers, row.target) for row in rows]
    best = [number(found[0].value) if found else "—" for found in peers]
    peer = " / ".join(best) if set(best) != {"—"} else ""
    if len(rows) == 1:
        paper = value(rows[0].target.paper_mean, rows[0].target.paper_ci95)
        ours = measured(rows[0].ours.mean, rows[0].ours.ci95) if rows[0].ours else "—"
    else:
        paper = " / ".join(number(row.target.paper_mean, 3) for row in rows)
        ours = " / ".join(number(row.ours.mean, 3) if row.ours else "—" for row in rows)
    longer = rows[0].other_iterations if _is_much_longer(rows[0]) else ""
    return [paper, peer, ours, verdict_of_rows(rows) + (f" ({longer})" if longer else "")]


def _is_much_longer(row):
    """Whether ours has at least twice the iterations of the paper's model."""
    theirs = row.target.paper_iterations
    return theirs is not None and row.result is not None and row.result.iterations_done >= 2 * theirs


def verdict_of_rows(rows) -> str:
    """The common verdict of several rows, or how many have which."""
    if rows[0].verdict == PARTIAL:
        return f"{rows[0].verdict}: {rows[0].detail.removesuffix(' iterations')}"
    words = collections.Counter("known failure" if row.verdict == MISS else row.verdict for row in rows)
    if len(words) == 1:
        return next(iter(words))
    return ", ".join(f"{count} {word}" for word, count in words.items())
