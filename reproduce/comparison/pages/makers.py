"""All generated blocks by name."""

from reproduce.comparison.pages.glance import glance, status
from reproduce.comparison.pages.speed import meta_gradients, sampling, speed

MAKERS = {
    "status": status,
    "glance": glance,
    "speed": speed,
    "meta-gradients": meta_gradients,
    "sampling": sampling,
}
