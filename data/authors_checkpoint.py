"""The mini-ImageNet weights that the paper's authors released, downloaded from their repository (130 kB)."""

import pathlib

import download

FOLDER = "authors_checkpoint"
URL = (
    "https://raw.githubusercontent.com/cbfinn/maml/a7f45f1bcd7457fe97b227a21e89b8a82cc5fa49/logs/miniimagenet1shot/"
    "cls_5.mbs_4.ubs_1.numstep5.updatelr0.01hidden32maxpoolbatchnorm/"
)


def fetch(downloads: pathlib.Path) -> None:
    """Downloads the checkpoint unless it exists, and compares each file with its SHA-256 either way.

    Args:
        downloads: the folder of downloads; the checkpoint goes into a folder of it.

    Raises:
        DataMissingError: the server cannot be reached, or a file is not what it should be.
    """
    from maml_tf.models.authors_checkpoint import RELEASED_FILES  # imports TensorFlow, which nothing else here needs

    for name, sha256 in RELEASED_FILES.items():
        download.fetch(URL + name, downloads / FOLDER / name, sha256)
    print(f"authors-checkpoint: {downloads / FOLDER}")
