"""Figure 6: error on the sinusoids after each gradient step, K = 5, 10 and 20 (Appendix B)."""

from reproduce.reproduction import Reproduction
from reproduce.sinusoid import SPECS, error_figure

REPRODUCTION = Reproduction(
    "Figure 6",
    specs=SPECS,
    figures=[error_figure("fig6", 5, 10, 20)],
    judged=["sinusoid_keeps_improving", "sinusoid_more_shots_help"],
)

if __name__ == "__main__":
    REPRODUCTION.main(__doc__)
