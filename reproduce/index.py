"""All scripts of tables and figures: what they reproduce, by name."""

import importlib
import re

from reproduce import paths
from reproduce.reproduction import Reproduction

SCRIPT = re.compile(r"(table|fig)\d+\.py")


def reproductions() -> dict[str, Reproduction]:
    """{name of the script: its Reproduction}: table1, table2, ..., fig2, fig3, ..."""
    names = sorted(path.stem for path in paths.HERE.iterdir() if SCRIPT.fullmatch(path.name))
    return {name: importlib.import_module(f"reproduce.{name}").REPRODUCTION for name in names}
