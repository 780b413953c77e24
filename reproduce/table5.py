"""Table 5: MAML against adapting a context vector alone, half-cheetah, forward or backward (Appendix C.2)."""

from reproduce.reproduction import Reproduction

REPRODUCTION = Reproduction(
    "Table 5",
    specs=[
        "half_cheetah_direction_maml",
        "half_cheetah_direction_context_vector",
        "half_cheetah_direction_context_vector_z_alone",
    ],
    judged=["context_below_maml"],
)

if __name__ == "__main__":
    REPRODUCTION.main(__doc__)
