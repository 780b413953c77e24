"""The weights that the paper's authors released, from their repository (about 130 kB)."""

import download

FOLDER = "authors_checkpoint"
PREFIX = "model59000"
FILES = (f"{PREFIX}.index", f"{PREFIX}.data-00000-of-00001")
URL = (
    "https://raw.githubusercontent.com/cbfinn/maml/a7f45f1bcd7457fe97b227a21e89b8a82cc5fa49/logs/miniimagenet1shot/"
    "cls_5.mbs_4.ubs_1.numstep5.updatelr0.01hidden32maxpoolbatchnorm/"
)


def fetch(downloads):
    """Downloads the checkpoint unless it is there. `reproduce/studies/authors_checkpoint.py` checks the values in it.

    Raises:
        DataMissingError: the server cannot be reached.
    """
    for name in FILES:
        download.fetch(URL + name, downloads / FOLDER / name)
    print(f"authors-checkpoint: {downloads / FOLDER}")
