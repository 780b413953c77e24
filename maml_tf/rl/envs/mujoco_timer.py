"""Switches off the timer with which MuJoCo profiles itself: reading the clock takes a part of every physics step."""

import contextlib
import ctypes
import pathlib


def disable_mujoco_timer() -> None:
    """Makes MuJoCo stop timing itself in the whole process; `MjData.timer` then shows durations of 0.

    MuJoCo reads a clock many times per step if one is set, and its Python package sets one. `set_mjcb_time(None)`
    restores that clock instead of removing it, so the callback is removed in the C library. No result depends on it.
    If the library is not found as on Linux and macOS, the timer stays on.
    """
    import mujoco

    for library in pathlib.Path(mujoco.__file__).parent.glob("libmujoco.*"):
        with contextlib.suppress(OSError, ValueError):
            ctypes.c_void_p.in_dll(ctypes.CDLL(str(library)), "mjcb_time").value = None
