"""Distributions over tasks and the data sets they are cut from. Each name is loaded when it is first used."""

from typing import TYPE_CHECKING

from maml_tf._lazy import lazy_exports

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "TaskBatch": "maml_tf.tasks.base",
        "TaskDistribution": "maml_tf.tasks.base",
        "NumPyTasks": "maml_tf.tasks.numpy_tasks",
        "SinusoidTasks": "maml_tf.tasks.sinusoid",
        "Episodes": "maml_tf.tasks.episodes",
        "ImageSet": "maml_tf.tasks.image_set",
        "read_image_folder": "maml_tf.tasks.image_folder",
        "read_split_folders": "maml_tf.tasks.image_folder",
        "split_classes": "maml_tf.tasks.image_folder",
        "read_image_set": "maml_tf.tasks.image_set",
        "write_image_set": "maml_tf.tasks.image_set",
        "load_omniglot": "maml_tf.tasks.omniglot",
        "split_omniglot": "maml_tf.tasks.omniglot",
        "load_mini_imagenet": "maml_tf.tasks.mini_imagenet",
    },
)

if TYPE_CHECKING:
    from maml_tf.tasks.base import TaskBatch as TaskBatch
    from maml_tf.tasks.base import TaskDistribution as TaskDistribution
    from maml_tf.tasks.episodes import Episodes as Episodes
    from maml_tf.tasks.image_folder import read_image_folder as read_image_folder
    from maml_tf.tasks.image_folder import read_split_folders as read_split_folders
    from maml_tf.tasks.image_folder import split_classes as split_classes
    from maml_tf.tasks.image_set import ImageSet as ImageSet
    from maml_tf.tasks.image_set import read_image_set as read_image_set
    from maml_tf.tasks.image_set import write_image_set as write_image_set
    from maml_tf.tasks.mini_imagenet import load_mini_imagenet as load_mini_imagenet
    from maml_tf.tasks.numpy_tasks import NumPyTasks as NumPyTasks
    from maml_tf.tasks.omniglot import load_omniglot as load_omniglot
    from maml_tf.tasks.omniglot import split_omniglot as split_omniglot
    from maml_tf.tasks.sinusoid import SinusoidTasks as SinusoidTasks
