"""Figures 2, 3, 6 and 7 and Table 2 from the same trainings: `make reproduce`."""

from reproduce import fig2, fig3, fig6, fig7, table2
from reproduce.reproduction import Reproduction

PARTS = [module.REPRODUCTION for module in (table2, fig2, fig3, fig6, fig7)]
REPRODUCTION = Reproduction(
    *(label for part in PARTS for label in part.labels),
    specs=fig2.SPECS,
    optional=table2.REPRODUCTION.optional,
    figures=[figure for part in PARTS for figure in part.figures],
    judged=list(dict.fromkeys(id_ for part in PARTS for id_ in part.judged)),
)

if __name__ == "__main__":
    REPRODUCTION.main(__doc__)
