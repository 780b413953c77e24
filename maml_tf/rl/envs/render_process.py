"""Drawing in another process: the compiler libraries of TensorFlow and of Mesa's software renderer crash together.

The process is started with `python -m`, so a script that draws needs no `if __name__ == "__main__":`.
"""

import pathlib
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import numpy as np

from maml_tf.errors import UsageError

if TYPE_CHECKING:
    import mujoco


class RenderProcess:
    """Draws the states of a MuJoCo model in another process.

    Args:
        model: the MjModel.
        width, height: of the pictures, in pixels.
        camera: name of a camera of the model.

    Raises:
        UsageError: MuJoCo finds no way to draw on this machine, or the process has crashed.
    """

    def __init__(self, model: "mujoco.MjModel", width: int, height: int, camera: str):
        import mujoco

        self._shape = (height, width, 3)
        self._state_kind = mujoco.mjtState.mjSTATE_INTEGRATION
        self._size = mujoco.mj_stateSize(model, self._state_kind)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.mjb"
            mujoco.mj_saveModel(model, str(path))
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(path), str(width), str(height), camera],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
            assert stdin is not None and stdout is not None and stderr is not None  # noqa: PT018 - for the type checker
            self._stdin, self._stdout, self._stderr = stdin, stdout, stderr
            if self._read(1) != b"+":
                raise self._crashed()

    def draw(self, model: "mujoco.MjModel", data: "mujoco.MjData") -> np.ndarray:
        """The picture [height, width, 3] of a state, uint8."""
        import mujoco

        state = np.empty(self._size)
        mujoco.mj_getState(model, data, state, self._state_kind)
        try:
            self._stdin.write(state.tobytes())
            self._stdin.flush()
        except BrokenPipeError:
            raise self._crashed() from None
        pixels = self._read(int(np.prod(self._shape)))
        if len(pixels) < np.prod(self._shape):
            raise self._crashed()
        return np.frombuffer(pixels, np.uint8).reshape(self._shape).copy()

    def close(self) -> None:
        """Ends the process."""
        if self._process.poll() is None:
            self._stdin.close()
            self._process.wait()
        for pipe in (self._stdout, self._stderr):
            pipe.close()

    def _read(self, count: int) -> bytes:
        return self._stdout.read(count)

    def _crashed(self) -> UsageError:
        told = self._stderr.read().decode(errors="replace").strip().splitlines()
        last = told[-1] if told else "no message"
        return UsageError(
            f"the process that draws ended with exit code {self._process.wait()}: {last}. Set the environment variable "
            "MUJOCO_GL to egl (a GPU or Mesa), osmesa (software) or glfw (a display) before Python starts"
        )


def main(path: str, width: str, height: str, camera: str) -> None:
    """Reads states from the standard input and writes their pictures to the standard output."""
    import mujoco

    from maml_tf.rl.envs.single_env import renderer

    pictures, sys.stdout = sys.stdout.buffer, sys.stderr  # so that no message gets among the pictures
    model = mujoco.MjModel.from_binary_path(path)
    drawer = renderer(model, int(width), int(height), camera)
    kind = mujoco.mjtState.mjSTATE_INTEGRATION
    size = 8 * mujoco.mj_stateSize(model, kind)
    pictures.write(b"+")
    pictures.flush()
    while len(state := sys.stdin.buffer.read(size)) == size:
        mujoco.mj_setState(model, drawer.data, np.frombuffer(state), kind)
        mujoco.mj_forward(model, drawer.data)
        pictures.write(np.ascontiguousarray(drawer.render("rgb_array")).tobytes())
        pictures.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
