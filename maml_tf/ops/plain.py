"""Plain forms in place of the fast ones, for exports to runtimes that know TensorFlow's common operations only."""

import contextlib
import contextvars
from collections.abc import Iterator

_plain = contextvars.ContextVar("plain forms", default=False)


@contextlib.contextmanager
def plain_forms() -> Iterator[None]:
    """In this context batch norm and max-pool are made of common operations, without fused or compiled kernels.

    Outputs and first derivatives are the same within rounding. Second derivatives may not be: nothing is trained here.
    """
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def in_plain_form() -> bool:
    """Whether the plain forms are asked for."""
    return _plain.get()
