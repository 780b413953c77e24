"""Trains and tests single specs of `specs/`: `python reproduce/train.py sinusoid_maml [--profile smoke]`."""

from common import SPECS, exit_codes, measure, parse_arguments


def main():
    parser = parse_arguments(__doc__.splitlines()[0])
    parser.add_argument("specs", nargs="+", metavar="SPEC", choices=sorted(path.stem for path in SPECS.glob("*.yaml")))
    arguments = parser.parse_args()
    from maml_tf.meta.placement import use_cores_for_tasks

    use_cores_for_tasks()
    for name in arguments.specs:
        measure(name, arguments)


if __name__ == "__main__":
    with exit_codes():
        main()
