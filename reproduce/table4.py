"""Table 4: MAML against adapting a context vector alone, 2D navigation (Appendix C.2)."""

from reproduce.reproduction import Reproduction

REPRODUCTION = Reproduction("Table 4", specs=["point_navigation_maml", "point_navigation_context_vector"])

if __name__ == "__main__":
    REPRODUCTION.main(__doc__)
