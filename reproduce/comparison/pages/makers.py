"""All generated blocks by name."""

import functools

from reproduce.beyond.table import block as beyond_block
from reproduce.comparison.pages.claims import claims, panel_counts
from reproduce.comparison.pages.example import example
from reproduce.comparison.pages.glance import glance, status
from reproduce.comparison.pages.known_failures import failure_counts, known_failures
from reproduce.comparison.pages.learning_curves import learning_curves
from reproduce.comparison.pages.measurements import ablations, first_order_gain, precision
from reproduce.comparison.pages.numbers import cited, numbers, peers
from reproduce.comparison.pages.panels import PANELS
from reproduce.comparison.pages.robust import interquartile_returns, robust_errors
from reproduce.comparison.pages.runs import runs
from reproduce.comparison.pages.scaling import scaling
from reproduce.comparison.pages.serving import litert, serving, serving_demand
from reproduce.comparison.pages.speed import (
    first_steps,
    meta_gradients,
    meta_gradients_avx2,
    one_call,
    sampling,
    speed,
    whole_training,
)
from reproduce.comparison.pages.variants import VARIANTS, variants

MAKERS = {
    "ablations": ablations,
    "beyond": beyond_block,
    "cited": cited,
    "claims": claims,
    "example": example,
    "first-step": first_steps,
    "first-order-gain": first_order_gain,
    "glance": glance,
    "interquartile-returns": interquartile_returns,
    "known-failures": known_failures,
    "known-failure-counts": failure_counts,
    "learning-curves": learning_curves,
    "litert": litert,
    "meta-gradients": meta_gradients,
    "meta-gradients-avx2": meta_gradients_avx2,
    "one-call": one_call,
    "panel-counts": panel_counts,
    "peers": peers,
    "precision": precision,
    "robust-errors": robust_errors,
    "sampling": sampling,
    "scaling": scaling,
    "serving": serving,
    "serving-demand": serving_demand,
    "speed": speed,
    "status": status,
    "whole-training": whole_training,
}
for _panel in PANELS:
    MAKERS[f"numbers-{_panel}"] = functools.partial(numbers, panel=_panel)
    MAKERS[f"runs-{_panel}"] = functools.partial(runs, panel=_panel)
for _name in VARIANTS:
    MAKERS[f"variants-{_name}"] = functools.partial(variants, name=_name)
