"""The mini-ImageNet weights that the paper's authors released, downloaded from their repository (130 kB)."""

import pathlib

import download

FOLDER = "authors_checkpoint"
PREFIX = "model59000"
FILES = (f"{PREFIX}.index", f"{PREFIX}.data-00000-of-00001")
URL = (
    "https://raw.githubusercontent.com/cbfinn/maml/a7f45f1bcd7457fe97b227a21e89b8a82cc5fa49/logs/miniimagenet1shot/"
    "cls_5.mbs_4.ubs_1.numstep5.updatelr0.01hidden32maxpoolbatchnorm/"
)


def fetch(downloads: pathlib.Path) -> None:
    """Downloads the checkpoint unless it exists. `reproduce/studies/authors_checkpoint.py` checks its values.

    Args:
        downloads: the folder of downloads; the checkpoint goes into a folder of it.

    Raises:
        DataMissingError: the server cannot be reached, or a file is not what it should be.
    """
    for name in FILES:
        download.fetch(URL + name, downloads / FOLDER / name)
    print(f"authors-checkpoint: {downloads / FOLDER}")
