"""Prepares the data sets of the experiments: `python data/prepare.py [omniglot] [mini-imagenet]`, or `make data`.

Without names, Omniglot and, where a source of it is at hand, mini-ImageNet. What is prepared and intact is left alone.
`authors-checkpoint` downloads the weights that the paper's authors released. See data/README.md.
"""

import argparse
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import authors_checkpoint
import download
import mini_imagenet
import omniglot
from mini_imagenet_folders import ilsvrc_images, ready_jpegs
from mini_imagenet_packed import is_packed, packed
from mini_imagenet_pickles import are_pickles, pickles

from maml_tf.errors import EXIT_DATA_MISSING, EXIT_USAGE, DataMissingError, UsageError
from maml_tf.tasks.image_set import file_sha256, read_image_set, write_image_set
from maml_tf.tasks.mini_imagenet import NAMES, load_mini_imagenet
from maml_tf.tasks.omniglot import NAME as OMNIGLOT

HERE = pathlib.Path(__file__).resolve().parent
DATA_SETS = ("omniglot", "mini-imagenet")
AUTHORS_CHECKPOINT = "authors-checkpoint"


def main():
    arguments = parse_arguments()
    own_source = arguments.imagenet or arguments.jpegs or arguments.pickles
    try:
        for folder in (arguments.mirror, own_source, arguments.csv):
            if folder is not None and not folder.is_dir():
                raise UsageError(f"{folder}: there is no such folder")
        if "omniglot" in (arguments.data_sets or DATA_SETS):
            prepare_omniglot(arguments)
        if "mini-imagenet" in (arguments.data_sets or DATA_SETS):
            asked_for = "mini-imagenet" in arguments.data_sets or own_source is not None
            prepare_mini_imagenet(arguments, asked_for)
        if AUTHORS_CHECKPOINT in arguments.data_sets:
            authors_checkpoint.fetch(arguments.downloads)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except DataMissingError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_DATA_MISSING
    return 0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    source.add_argument("--jpegs", **folder, help="mini-ImageNet as 84x84 JPEGs named as in the csv files; with --csv")
    source.add_argument("--pickles", **folder, help="mini-ImageNet as mini-imagenet-cache-{train,val,test}.pkl")
    parser.add_argument(
        "--csv", **folder, help="train.csv, val.csv and test.csv of the split; default: with the images"
    )
    parser.add_argument("--prepared", **folder, default=HERE / "prepared", help="where the prepared arrays go")
    parser.add_argument("--downloads", **folder, default=HERE / "downloads", help="where downloads are kept")
    arguments = parser.parse_args()
    if arguments.csv is not None and not (arguments.imagenet or arguments.jpegs):
        parser.error("--csv: goes with --imagenet or --jpegs")
    return arguments


def data_set(name):
    names = (*DATA_SETS, AUTHORS_CHECKPOINT)
    if name not in names:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(names)}")
    return name


def prepare_omniglot(arguments):
    """Writes the prepared Omniglot unless it is there and intact."""
    folder = arguments.prepared
    if intact("omniglot", folder, [OMNIGLOT], lambda: [read_image_set(folder, OMNIGLOT, verify=True)]):
        return
    started = time.monotonic()
    images, names, origin = read_omniglot(arguments.mirror, arguments.downloads)
    write_image_set(folder, OMNIGLOT, images, names, origin)
    print(f"omniglot: {images.shape[0]} characters from {origin}, {time.monotonic() - started:.0f} s")


def read_omniglot(mirror, downloads):
    """Images, names and origin from the mirror, or from the official archives."""
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


def prepare_mini_imagenet(arguments, asked_for):
    """Writes the three prepared splits of mini-ImageNet unless they are there and intact."""
    folder = arguments.prepared
    if intact("mini-imagenet", folder, NAMES.values(), lambda: load_mini_imagenet(folder, verify=True).values()):
        return
    source = find_mini_imagenet(arguments)
    if source is None:
        missing = (
            "mini-imagenet: there is no source of its images, which may not be passed on freely and cannot be "
            "downloaded. Give one of --imagenet, --jpegs, --pickles or --mirror (see data/README.md)"
        )
        if asked_for:
            raise DataMissingError(missing)
        print(missing)
        return
    started = time.monotonic()
    mini_imagenet.write(source, folder)
    print(f"mini-imagenet: prepared in {folder}, {time.monotonic() - started:.0f} s")


def find_mini_imagenet(arguments):
    """The source that was asked for, or what lies in the mirror or among the downloads, or None."""
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


def intact(name, folder, prepared_names, read):
    """Whether a data set's prepared arrays are there and intact; says so, or what is wrong with them."""
    if not any((folder / f"{prepared}.json").exists() for prepared in prepared_names):
        print(f"{name}: not prepared yet", flush=True)
        return False
    try:
        image_sets = list(read())
    except DataMissingError as problem:
        print(f"{name}: preparing again, for {problem}", flush=True)
        return False
    classes = sum(len(image_set.class_names) for image_set in image_sets)
    print(f"{name}: prepared and intact, {classes} classes from {image_sets[0].source['origin']}")
    return True


if __name__ == "__main__":
    sys.exit(main())
