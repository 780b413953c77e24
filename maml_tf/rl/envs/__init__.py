"""Families of environments that differ in a goal. Importing this package registers all of them (see `registry`).

MuJoCo is loaded when the first environment that simulates with it is made, not before.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
