"""The package's compiled loop under JAX."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .package import Package
from .progress import say


class Loop:
    """The package's compiled loop, with its examples, on the device that JAX prefers."""

    def __init__(self, package: Package):
        import jax

        self.jax, self.device = jax, jax.devices()[0]
        on_cpu = self.device.platform == "cpu"
        self.place = {
            "hardware": f"CPU, {platform.machine()}, {os.cpu_count()} cores" if on_cpu else self.device.device_kind,
            "runtime": f"jax {jax.__version__}, numpy {np.__version__}, Python {platform.python_version()}",
        }
        started = time.monotonic()
        examples = [package.read_examples()] if package.examples else []
        self.examples = [jax.device_put(array, self.device) for array in examples]
        say(f"{package.name}: on {self.place['hardware']}, {self.place['runtime']}")
        if on_cpu:
            say("JAX finds no GPU here: this form of the loop is made for one and is slow on a CPU")
        text = (package.folder / package.module["file"]).read_text(encoding="utf-8")
        shapes = [jax.ShapeDtypeStruct(tuple(a["shape"]), a["dtype"]) for a in package.arguments]
        self.compiled = jax.jit(as_jax_function(text, package.results)).lower(*shapes).compile()
        say(f"examples read and loop compiled in {time.monotonic() - started:.0f} s")

    def put(self, arrays: Any) -> Any:
        """The arrays on the device."""
        return [self.jax.device_put(array, self.device) for array in arrays]

    def __call__(self, state: Sequence[Any], task_seed: Any, num_iterations: int) -> tuple[list[Any], float]:
        """The state after `num_iterations` more, which stays on the device, and their mean meta-loss."""
        *state, loss = self.compiled(*state, *self.examples, task_seed, np.int32(num_iterations))
        return state, float(loss)


def as_jax_function(text: str, results: Sequence[dict[str, Any]]) -> Callable[..., Any]:
    """A StableHLO module, with a function `main` of arrays, as a function of JAX arrays.

    Args:
        text: the module.
        results: [{"shape": ..., "dtype": ...}, ...], what the function returns.
    """
    from jax.core import ShapedArray
    from jax.extend.core import Primitive
    from jax.extend.mlir import ir
    from jax.extend.mlir.dialects import func
    from jax.interpreters import mlir

    primitive = Primitive("training_loop")
    primitive.multiple_results = True

    @primitive.def_abstract_eval
    def shapes(*_):
        return [ShapedArray(tuple(result["shape"]), np.dtype(result["dtype"])) for result in results]

    def lower(context, *operands):
        module: Any = ir.Module.parse(text)
        for function in list(module.body.operations):
            if function.name.value == "main":  # JAX has a main of its own
                function.attributes["sym_name"] = ir.StringAttr.get("training_loop")
                function.attributes["sym_visibility"] = ir.StringAttr.get("private")
                types = function.type.results
            context.module_context.module.body.append(function)
        return list(func.CallOp(types, ir.FlatSymbolRefAttr.get("training_loop"), list(operands)).results)

    mlir.register_lowering(primitive, lower)
    return primitive.bind
