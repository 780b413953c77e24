"""Prepares the data sets of the experiments: `python data/prepare.py [--mirror FOLDER]`, or `make data`.

Omniglot comes from its official archives (downloaded once, checksummed), or from a folder that holds them or a packed
copy. What is prepared and intact is left alone. See data/README.md.
"""

import argparse
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import download
import omniglot

from maml_tf.errors import EXIT_DATA_MISSING, EXIT_USAGE, DataMissingError, UsageError
from maml_tf.tasks.image_set import read_image_set, write_image_set
from maml_tf.tasks.omniglot import NAME as OMNIGLOT

HERE = pathlib.Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--mirror", type=pathlib.Path, help="folder with the archives or packed copies, instead of the network"
    )
    parser.add_argument("--prepared", type=pathlib.Path, default=HERE / "prepared", help="where the prepared arrays go")
    parser.add_argument("--downloads", type=pathlib.Path, default=HERE / "downloads", help="where downloads are kept")
    arguments = parser.parse_args()
    try:
        prepare_omniglot(arguments.mirror, arguments.prepared, arguments.downloads)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except DataMissingError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_DATA_MISSING
    return 0


def prepare_omniglot(mirror, prepared, downloads):
    """Writes the prepared Omniglot unless it is there and intact."""
    try:
        image_set = read_image_set(prepared, OMNIGLOT, verify=True)
    except DataMissingError as missing:
        print(f"omniglot: {missing}" if "missing" not in str(missing) else "omniglot: preparing")
    else:
        print(f"omniglot: prepared and intact, {len(image_set.class_names)} characters in {prepared}")
        return
    started = time.monotonic()
    images, names, origin = read_omniglot(mirror, downloads)
    write_image_set(prepared, OMNIGLOT, images, names, origin)
    print(f"omniglot: {images.shape[0]} characters from {origin}, {time.monotonic() - started:.0f} s")


def read_omniglot(mirror, downloads):
    """Images, names and origin from the mirror, or from the official archives."""
    if mirror is None:
        for name, expected in omniglot.ZIPS.items():
            download.fetch(omniglot.URL + name, downloads / name, expected["md5"])
        return *omniglot.from_zips(downloads), "official archives"
    if not mirror.is_dir():
        raise UsageError(f"--mirror {mirror}: there is no such folder")
    if (mirror / omniglot.PACKED).exists():
        return *omniglot.from_packed(mirror), f"packed copy {omniglot.PACKED}"
    for name, expected in omniglot.ZIPS.items():
        if not (mirror / name).exists():
            raise DataMissingError(f"{mirror} holds neither {omniglot.PACKED} nor {name}")
        download.check(mirror / name, expected["md5"])
    return *omniglot.from_zips(mirror), "official archives"


if __name__ == "__main__":
    sys.exit(main())
