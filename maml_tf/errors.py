"""The errors a user can cause, each with the exit code that `reproduce/*` and the command line end with.

Exit codes: 0 within tolerance, 1 outside tolerance, 2 usage or internal error (also a training that is no longer
finite, and a file that cannot be written), 3 data missing or damaged, 128 + n ended by signal n.
"""

EXIT_WITHIN_TOLERANCE = 0
EXIT_OUTSIDE_TOLERANCE = 1
EXIT_USAGE = 2
EXIT_DATA_MISSING = 3
EXIT_SIGNAL = 128  # plus the signal's number: 130 for Ctrl-C, 143 for SIGTERM


class UsageError(ValueError):
    """A wrong value, key or file was given; the message names it and what is allowed."""


class DataMissingError(RuntimeError):
    """A data set is missing or damaged; the message names the file and the command that gets it."""
