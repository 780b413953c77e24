"""Table 1: few-shot classification. `python reproduce/table1.py omniglot_5way_1shot_conv [--profile cpu]`."""

import sys

from common import SPECS, measure, parse_arguments, spec_of

from maml_tf.cli import exit_codes, print_curves

CELLS = sorted(path.stem for path in SPECS.glob("omniglot_*.yaml"))


def main():
    parser = parse_arguments(__doc__.splitlines()[0])
    parser.add_argument("cells", nargs="*", metavar="CELL", help=f"{', '.join(CELLS)}; all by default")
    arguments = parser.parse_args()
    for cell in arguments.cells:
        if cell not in CELLS:
            parser.error(f"{cell!r} is no cell; there are {', '.join(CELLS)}")
    from compare import compare_only

    from maml_tf.meta.placement import use_cores_for_tasks

    use_cores_for_tasks()
    cells = arguments.cells or CELLS
    for cell in cells:
        result = measure(cell, arguments)
        print_curves(f"{cell}, accuracy in percent by gradient steps (0: on the support set),", result.curves)
    return compare_only([target for cell in cells for target in spec_of(cell, arguments).targets])


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
