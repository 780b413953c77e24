"""The keys of a spec that choose another inner loop than plain MAML's: by name, from the open lists."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from maml_tf.errors import UsageError
from maml_tf.experiments.checks import not_negative

if TYPE_CHECKING:
    from maml_tf._registry import Registry
    from maml_tf.meta.adaptable import Adaptable
    from maml_tf.meta.inner_updates import InnerUpdate

ADAPTABLE_BY_METHOD = {"context_vector": "context_vector"}  # every other method: all but batch norm's offsets


@dataclasses.dataclass(frozen=True, kw_only=True)
class MAMLPlusPlusSpec:
    """The parts of MAML++ that a training has (see `maml_tf.methods.maml_plus_plus`); the schedule is in `meta`."""

    multi_step_loss: int = 0  # meta-iterations in which the losses after all inner steps count
    first_order_iterations: int = 0  # meta-iterations at the beginning without second derivatives
    step_sizes: bool = False  # a learned step size for every layer and inner step
    norm_weights: bool = False  # offsets and scales of batch norm for every number of steps
    norm_statistics: bool = False  # predictions with running statistics for every number of steps

    def __post_init__(self):
        not_negative(self, "multi_step_loss", "first_order_iterations")
        if all(not getattr(self, field.name) for field in dataclasses.fields(self)):
            raise UsageError("all of its parts are off: leave the section out, or turn one on")


def check_plus_plus(spec: Any) -> None:
    """Refuses parts of MAML++ that contradict the rest of a spec."""
    parts = spec.maml_plus_plus
    if parts is None:
        return
    if spec.method not in ("maml", "context_vector"):
        raise UsageError(f"maml_plus_plus: not allowed; {spec.method!r} is trained without adaptation")
    if spec.inner.update is not None and (parts.step_sizes or parts.norm_weights):
        raise UsageError("inner.update: not allowed with maml_plus_plus.step_sizes or .norm_weights: they are one")
    if spec.inner.first_order and parts.first_order_iterations:
        raise UsageError("maml_plus_plus.first_order_iterations: not allowed with inner.first_order")
    if (parts.norm_weights or parts.norm_statistics) and not getattr(spec.model, "batch_norm", True):
        raise UsageError("maml_plus_plus: norm_weights and norm_statistics need model.batch_norm")


def maml_of(spec: Any, model: Any, loss: Any, step_size: float, **options: Any) -> Any:
    """The MAML or MAMLPlusPlus of a spec around a model."""
    from maml_tf.meta.maml import MAML
    from maml_tf.methods.maml_plus_plus import MAMLPlusPlus

    options |= {"first_order": spec.inner.first_order, "adaptable": adaptable_of(spec)}
    arguments = (model, loss, step_size, spec.inner.train_steps)
    update = update_of(spec) if spec.inner.update else None
    if spec.maml_plus_plus is None:
        return MAML(*arguments, inner_update=update, **options)
    return MAMLPlusPlus(*arguments, inner_update=update, **dataclasses.asdict(spec.maml_plus_plus), **options)


def check_choices(inner: Any) -> None:
    """Refuses a name in `inner.adaptable` or `inner.update` that is in neither list.

    TensorFlow is imported where one of the keys is given, and only there.
    """
    if inner.adaptable is not None:
        _check_registered("adaptable", inner.adaptable, _lists()[0])
    if inner.update is not None:
        _check_registered("update", inner.update, _lists()[1])


def check_context(spec: Any) -> None:
    """Refuses a choice of adapted weights that contradicts the method, or that the model does not have."""
    adaptable = spec.inner.adaptable or spec.method
    if adaptable == "context_vector" and not spec.model.context_size:
        by = f"the method {spec.method!r}" if spec.method == adaptable else "inner.adaptable: 'context_vector'"
        raise UsageError(f"{by} needs model.context_size")
    if spec.method == "context_vector" != adaptable:
        raise UsageError(
            f"inner.adaptable: {adaptable!r} is not allowed; the method 'context_vector' adapts z alone, the "
            "method 'maml' what inner.adaptable says"
        )


def adaptable_of(spec: Any) -> Adaptable:
    """The choice of adapted weights of a spec."""
    return _lists()[0][spec.inner.adaptable or ADAPTABLE_BY_METHOD.get(spec.method, "all_but_norm_offsets")]


def update_of(spec: Any) -> InnerUpdate:
    """The inner update of a spec."""
    return _lists()[1][spec.inner.update or "gradient_descent"]()


def _lists() -> tuple[Registry[Adaptable], Registry[type[InnerUpdate]]]:
    from maml_tf.meta.adaptable import ADAPTABLE
    from maml_tf.meta.inner_updates import INNER_UPDATES
    from maml_tf.methods import register_all

    register_all()
    return ADAPTABLE, INNER_UPDATES


def _check_registered(key: str, name: str, registry: Registry[Any]) -> None:
    if name not in registry:
        raise UsageError(f"{key}: {name!r} is not allowed; expected one of {', '.join(map(repr, registry))}")
