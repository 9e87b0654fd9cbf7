"""What a long fit says while it runs."""

import sys
import time


class Progress:
    """Print one line an iteration to standard error, once a fit has taken longer than `patience`.

    Args:
        show: True prints from the first iteration, False never, None only on a terminal and
            only after `patience` seconds.
        label: what is being fitted.
        patience: seconds of silence when `show` is None.
    """

    def __init__(self, show: bool | None = None, label: str = "", patience: float = 2.0):
        self.show = show
        self.label = label
        self.patience = patience
        self.started = time.perf_counter()
        self.iteration = 0
        self._gradients: list[float] = []

    def __call__(self, loglik: float, gradient: float) -> None:
        """Report an iteration: log-likelihood, largest scaled gradient, guessed time left."""
        self.iteration += 1
        self._gradients.append(gradient)
        elapsed = time.perf_counter() - self.started
        if self.show is False:
            return
        if self.show is None and (elapsed < self.patience or not sys.stderr.isatty()):
            return
        print(
            f"{self.label:<12} iteration {self.iteration:>3}  log-likelihood {loglik:.4f}  "
            f"gradient {gradient:.1e}  {elapsed:.1f} s{self._left(elapsed)}",
            file=sys.stderr,
        )

    def _left(self, elapsed: float, goal: float = 1e-7) -> str:
        """Guess the time left from how fast the gradient has been shrinking, on a log scale."""
        first, last = self._gradients[0], self._gradients[-1]
        if self.iteration < 3 or not 0.0 < last < first:
            return ""
        import math

        done = math.log(first / last)
        left = max(math.log(last / goal), 0.0)
        return f", about {elapsed * left / done:.1f} s left"
