"""Prepares the data sets of the experiments: `python data/prepare.py [omniglot] [mini-imagenet]`, or `make data`.

Without names it prepares Omniglot and, if it finds a source of its images, mini-ImageNet. A data set that is prepared
and intact is left alone. `authors-checkpoint` downloads the weights that the paper's authors released. See
data/README.md.
"""

import argparse
import pathlib
import sys
import time
from collections.abc import Callable, Iterable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import authors_checkpoint
import download
import integrity
import mini_imagenet
import numpy as np
import omniglot
from mini_imagenet_folders import ilsvrc_images, ready_jpegs
from mini_imagenet_packed import is_packed, packed
from mini_imagenet_pickles import are_pickles, pickles

from maml_tf.cli import exit_codes
from maml_tf.errors import DataMissingError, UsageError
from maml_tf.tasks.image_set import ImageSet, file_sha256, read_image_set, write_image_set
from maml_tf.tasks.mini_imagenet import NAMES, load_mini_imagenet
from maml_tf.tasks.omniglot import NAME as OMNIGLOT

HERE = pathlib.Path(__file__).resolve().parent
DATA_SETS = ("omniglot", "mini-imagenet")
AUTHORS_CHECKPOINT = "authors-checkpoint"


def main() -> None:
    """Runs the command. Raises a DataMissingError or a UsageError, which end it with exit code 3 or 2."""
    arguments = parse_arguments()
    own_source = arguments.imagenet or arguments.jpegs or arguments.pickles
    for folder in (arguments.mirror, own_source, arguments.csv):
        if folder is not None and not folder.is_dir():
            raise UsageError(f"{folder}: there is no such folder")
    for folder in (arguments.prepared, arguments.downloads):
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder}: this is a file, a folder is needed")
    with integrity.lock(arguments.prepared):
        for folder in (arguments.prepared, arguments.downloads):
            integrity.remove_partial_files(folder)
        if "omniglot" in (arguments.data_sets or DATA_SETS):
            prepare_omniglot(arguments)
        if "mini-imagenet" in (arguments.data_sets or DATA_SETS):
            required = "mini-imagenet" in arguments.data_sets or own_source is not None
            prepare_mini_imagenet(arguments, required)
        if AUTHORS_CHECKPOINT in arguments.data_sets:
            authors_checkpoint.fetch(arguments.downloads)


def parse_arguments() -> argparse.Namespace:
    """The command line's arguments. A wrong one ends the process with exit code 2."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    folder = {"type": pathlib.Path, "metavar": "FOLDER"}
    parser.add_argument(
        "data_sets",
        nargs="*",
        type=data_set,
        metavar="DATA_SET",
        help=f"{', '.join(DATA_SETS)} (default), {AUTHORS_CHECKPOINT}",
    )
    parser.add_argument("--mirror", **folder, help="archives, pickles or packed copies, instead of the network")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--imagenet", **folder, help="ILSVRC-2012 training images, for mini-ImageNet; with --csv")
    source.add_argument("--jpegs", **folder, help="mini-ImageNet as images named as in the csv files; with --csv")
    source.add_argument("--pickles", **folder, help="mini-ImageNet as pickles, one for each split")
    parser.add_argument(
        "--csv", **folder, help="train.csv, val.csv and test.csv of the split; default: the folder of the images"
    )
    parser.add_argument("--prepared", **folder, default=HERE / "prepared", help="where the prepared arrays go")
    parser.add_argument("--downloads", **folder, default=HERE / "downloads", help="where downloads are kept")
    arguments = parser.parse_args()
    if arguments.csv is not None and not (arguments.imagenet or arguments.jpegs):
        parser.error("--csv: needs --imagenet or --jpegs")
    return arguments


def data_set(name: str) -> str:
    """The name of a data set, checked for argparse."""
    names = (*DATA_SETS, AUTHORS_CHECKPOINT)
    if name not in names:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(names)}")
    return name


def prepare_omniglot(arguments: argparse.Namespace) -> None:
    """Writes the prepared Omniglot unless it exists and is intact."""
    folder = arguments.prepared
    if intact("omniglot", folder, [OMNIGLOT], lambda: [read_image_set(folder, OMNIGLOT, verify=True)]):
        return
    started = time.monotonic()
    images, names, origin = read_omniglot(arguments.mirror, arguments.downloads)
    write_image_set(folder, OMNIGLOT, images, names, origin)
    print(f"omniglot: {images.shape[0]} characters from {origin}, {time.monotonic() - started:.0f} s")


def read_omniglot(mirror: pathlib.Path | None, downloads: pathlib.Path) -> tuple[np.ndarray, list[str], str]:
    """Reads Omniglot from the mirror, from a packed copy among the downloads, or from the official archives.

    Returns:
        images: uint8 [1623, 20, 28, 28, 1].
        names: of the characters.
        origin: the source and its checksum, in words.
    """
    folder = downloads if mirror is None else mirror
    if (folder / omniglot.PACKED).exists():
        origin = f"packed copy {omniglot.PACKED}, SHA-256 {file_sha256(folder / omniglot.PACKED)}"
        return *omniglot.from_packed(folder), origin
    for name, md5 in omniglot.ZIPS.items():
        if mirror is None:
            download.fetch(omniglot.URL + name, downloads / name, md5)
        elif (mirror / name).exists():
            download.check(mirror / name, md5)
        else:
            raise DataMissingError(f"{mirror} holds neither {omniglot.PACKED} nor {name}")
    origin = f"official archives, SHA-256 {file_sha256(*(folder / name for name in omniglot.ZIPS))}"
    return *omniglot.from_zips(folder), origin


def prepare_mini_imagenet(arguments: argparse.Namespace, required: bool) -> None:
    """Writes the three prepared splits of mini-ImageNet unless they exist and are intact.

    Args:
        arguments: of the command line.
        required: whether a missing source is an error. If not, a message says what is missing.
    """
    folder = arguments.prepared
    if intact("mini-imagenet", folder, NAMES.values(), lambda: load_mini_imagenet(folder, verify=True).values()):
        return
    source = find_mini_imagenet(arguments)
    if source is None:
        missing = (
            "mini-imagenet: no source of its images was found. The images may not be passed on freely and cannot be "
            "downloaded. Give one of --imagenet, --jpegs, --pickles or --mirror (see data/README.md)"
        )
        if required:
            raise DataMissingError(missing)
        print(missing)
        return
    started = time.monotonic()
    mini_imagenet.write(source, folder)
    print(f"mini-imagenet: prepared in {folder}, {time.monotonic() - started:.0f} s")


def find_mini_imagenet(arguments: argparse.Namespace) -> mini_imagenet.Source | None:
    """The source that an argument names, or one that the mirror or the downloads hold, or None."""
    if arguments.imagenet:
        return ilsvrc_images(arguments.imagenet, arguments.csv or arguments.imagenet)
    if arguments.jpegs:
        return ready_jpegs(arguments.jpegs, arguments.csv or arguments.jpegs)
    if arguments.pickles:
        return pickles(arguments.pickles)
    for folder in filter(None, (arguments.mirror, arguments.downloads)):
        if is_packed(folder):
            return packed(folder)
        if are_pickles(folder):
            return pickles(folder)
    return None


def intact(
    name: str, folder: pathlib.Path, prepared_names: Iterable[str], read: Callable[[], Iterable[ImageSet]]
) -> bool:
    """Whether a data set is prepared and intact. Prints the answer, or what is wrong with the prepared arrays."""
    if not any((folder / f"{prepared}.json").exists() for prepared in prepared_names):
        print(f"{name}: not prepared yet", flush=True)
        return False
    try:
        image_sets = list(read())
    except DataMissingError as problem:
        print(f"{name}: preparing again, because {problem}", flush=True)
        return False
    classes = sum(len(image_set.class_names) for image_set in image_sets)
    print(f"{name}: prepared and intact, {classes} classes from {image_sets[0].source['origin']}")
    return True


if __name__ == "__main__":
    with exit_codes():
        main()
