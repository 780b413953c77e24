"""Table 3: MAML against adapting a context vector alone, on Omniglot (Appendix C.2)."""

from reproduce.reproduction import Reproduction

REPRODUCTION = Reproduction(
    "Table 3",
    specs=[f"omniglot_5way_{shots}shot_{arm}" for shots in (1, 5) for arm in ("context_vector", "conv")],
    judged=["context_below_maml"],
)

if __name__ == "__main__":
    REPRODUCTION.main(__doc__)
