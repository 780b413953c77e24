"""Made-up data sets with the true classes and image sizes, and fewer mini-ImageNet images a class."""

from maml_tf.tasks import mini_imagenet
from maml_tf.tasks.image_set import write_image_set

FEW_IMAGES = 20  # of a mini-ImageNet class: tests that use these set `mini_imagenet.IMAGES_PER_CLASS` to it


def write_mini_imagenet(folder, images_of):
    """Writes all three splits; `images_of(split, classes)` gives uint8 [classes, FEW_IMAGES, 84, 84, 3]."""
    for split, classes in mini_imagenet.CLASSES.items():
        names = [f"{split}{i:02d}" for i in range(classes)]
        write_image_set(folder, mini_imagenet.NAMES[split], images_of(split, classes), names, "made up")


def write_omniglot(folder, images):
    """Writes uint8 [1623, 20, 28, 28, 1]."""
    write_image_set(folder, "omniglot", images, [f"character{i:04d}" for i in range(len(images))], "made up")
