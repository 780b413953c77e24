"""Figure 4: 2D navigation, returns while adapting and paths to one goal (section 5.3)."""

from reproduce.policies import arms, navigation_figure
from reproduce.reproduction import Reproduction

REPRODUCTION = Reproduction(
    "Figure 4",
    specs=arms("point_navigation"),
    figures=[navigation_figure("fig4")],
    judged=["order_point"],
)

if __name__ == "__main__":
    REPRODUCTION.main(__doc__)
