"""The comparison with the paper: `load_comparison` reads the paper's numbers and the results and judges them.

targets, peers, known_failures: what is written by hand. measurements, integrity: what the result files say, checked.
claims, verdicts: the rules. gate: what fails a build. tables, figures, figures_rl, pages: what a reader sees.
"""

from reproduce.comparison.load import load_comparison

__all__ = ["load_comparison"]
