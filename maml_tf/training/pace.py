"""How many iterations one call of a compiled loop takes: few enough that a stop is answered soon."""

CALL_SECONDS = 2.0
GROWTH = 8


class Pace:
    """Chooses the number of iterations of the next call from the time that the last ones took.

    The division of a training into calls has no influence on its numbers.

    Attributes:
        iterations: of the next call, at the most; 1 at first.
    """

    def __init__(self):
        self.iterations = 1

    def took(self, iterations: int, seconds: float) -> None:
        """Records a call. The first one, which compiles, is not recorded."""
        fitting = int(CALL_SECONDS * iterations / max(seconds, 1e-6))
        self.iterations = max(1, min(fitting, GROWTH * iterations))
