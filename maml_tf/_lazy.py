"""Public names of a package that are imported when they are first used.

So `import maml_tf`, the reader of specs and the preparation of data do not load TensorFlow.
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_exports(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` for a package's `__init__.py`.

    Args:
        package: `__name__` of the package.
        names: the module that each public name comes from: "maml_tf.meta.maml" for a class or function in it, or
            "maml_tf.meta.losses:" for the module itself.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807 - what Python calls on a package
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(names)}")
        path = names[name]
        module = importlib.import_module(path.removesuffix(":"))
        value = module if path.endswith(":") else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*vars(sys.modules[package]), *names})

    return __getattr__, __dir__
