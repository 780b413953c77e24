"""What `train` does between its first and its last iteration: run, log, validate, save, stop."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from maml_tf.meta.learner import Learner
from maml_tf.tasks.base import TaskDistribution
from maml_tf.training import divergence
from maml_tf.training.adam import TrainingState
from maml_tf.training.checkpoint import Checkpoint, RunDirectory
from maml_tf.training.pace import Pace
from maml_tf.training.progress import Progress
from maml_tf.training.scalars import WriteScalars
from maml_tf.training.stopping import StopRequest, TrainingStoppedError

LOGS_PER_RUN = 200
SECONDS_BETWEEN_SAVES = 5
# Saving takes at most this share of the time, on slow disks too.
SAVING_SHARE = 0.02


@dataclasses.dataclass
class MetaTraining:
    """One training of a learner (see `maml_tf.training.train.train` for the attributes).

    A call of the compiled loop takes about two seconds. What is logged does not depend on how the iterations are
    divided into calls: the sum of the losses goes from call to call.

    Attributes:
        loop: of `compiled_loop`.
        half: the iteration of the half-way mark, or None.
    """

    learner: Learner
    tasks: TaskDistribution
    loop: Callable[..., tuple[TrainingState, tf.Tensor]]
    iterations: int
    batch_size: int
    seed: int
    label: str
    run_dir: RunDirectory | None
    validate: Callable[[Sequence[tf.Tensor]], float] | None
    validate_every: int
    half: int | None

    def run(
        self, checkpoint: Checkpoint, write_scalars: WriteScalars, progress: Progress, stop: StopRequest | None
    ) -> None:
        """Trains from a checkpoint to the end; the checkpoint is changed.

        Raises:
            FloatingPointError: something is not finite.
            TrainingStoppedError: `stop` was asked for; the state is saved.
        """
        try:
            self._run(checkpoint, write_scalars, progress, stop)
        except TrainingStoppedError as error:
            raise TrainingStoppedError(self._how_to_go_on(), error.number) from None

    def _run(self, checkpoint, write_scalars, progress, stop):
        repeatable = contextlib.nullcontext if stop is None else stop.at_once
        pace, compiled = Pace(), False
        self._saved_at, self._saving_took = time.monotonic(), 0.0
        if checkpoint.validation_due:
            self._validate(checkpoint, write_scalars, repeatable)
        while checkpoint.iteration < self.iterations:
            started = time.monotonic()
            row_end = self._end_of_row(checkpoint.iteration)
            count = min(row_end - checkpoint.iteration, pace.iterations)
            if compiled:
                self._advance(checkpoint, count)
                pace.took(count, time.monotonic() - started)
            else:
                progress.line(self._what_is_compiled())
                with repeatable():
                    self._advance(checkpoint, count)
                progress.line(f"compiled in {time.monotonic() - started:.0f} s")
                progress.measure_from_here(checkpoint.iteration)
                compiled = True
            checkpoint.seconds += time.monotonic() - started
            if checkpoint.iteration == row_end:
                self._close_row(checkpoint, write_scalars)
            if self._validation_is_due(checkpoint.iteration):
                checkpoint.validation_due = True
                self._validate(checkpoint, write_scalars, repeatable)
            elif checkpoint.iteration == self.iterations or self._time_to_save():
                self._save(checkpoint)
            progress.update(checkpoint.iteration, **self._shown(checkpoint))
            if stop is not None and stop.number is not None and checkpoint.iteration < self.iterations:
                self._save(checkpoint)
                raise TrainingStoppedError("", stop.number)

    def _advance(self, checkpoint: Checkpoint, count: int) -> None:
        """Runs `count` iterations."""
        dtype = checkpoint.state.params[0].dtype
        before, counted = checkpoint.open_losses or (np.zeros([], dtype.as_numpy_dtype), 0)
        before = tf.constant(before, dtype)
        state, losses = self.loop(checkpoint.state, tf.constant(count), before)
        if not (math.isfinite(float(losses)) and divergence.is_finite(state[1:])):
            self._diverged(checkpoint, before, counted, count)
        checkpoint.state, checkpoint.open_losses = state, (losses.numpy(), counted + count)

    def _close_row(self, checkpoint: Checkpoint, write_scalars: WriteScalars) -> None:
        """Logs the mean loss since the last row."""
        assert checkpoint.open_losses is not None  # since an iteration was done
        losses, counted = checkpoint.open_losses
        checkpoint.losses.append([checkpoint.iteration, float(losses / losses.dtype.type(counted))])
        checkpoint.open_losses = None
        write_scalars({"meta_loss": checkpoint.losses[-1][1]}, checkpoint.iteration)

    def _validate(self, checkpoint: Checkpoint, write_scalars: WriteScalars, repeatable: Callable[[], Any]) -> None:
        assert self.validate is not None  # since a validation is due
        self._save(checkpoint)  # the validation may be interrupted, and is then repeated
        started, iteration = time.monotonic(), checkpoint.iteration
        with repeatable():
            score = float(self.validate(checkpoint.state.params))
        if not math.isfinite(score):
            raise FloatingPointError(
                f"{self.label}: iteration {iteration} (seed {self.seed}): the validation score is {score}. "
                f"{divergence.ADVICE}. {self._how_to_go_on()}"
            )
        checkpoint.validation_due = False
        checkpoint.add_validation(iteration, checkpoint.state.params, score)
        write_scalars({"validation_score": score}, iteration)
        checkpoint.validation_seconds += time.monotonic() - started
        if self.run_dir is not None and iteration == self.half:
            self.run_dir.write_half(checkpoint)  # before the state, so that a training past this point has the file
        self._save(checkpoint)

    def _diverged(self, checkpoint: Checkpoint, losses: tf.Tensor, counted: int, count: int) -> NoReturn:
        """Saves the last finite state and the tasks of the iteration after it, and says what happened."""
        state, losses, done, what = divergence.last_finite_state(self.loop, checkpoint.state, losses, count)
        checkpoint.state = state
        checkpoint.open_losses = (losses.numpy(), counted + done) if counted + done else None
        message = f"{self.label}: iteration {checkpoint.iteration} (seed {self.seed}): {what} is not finite"
        try:
            seed = tf.random.fold_in(tf.constant((self.seed, 0)), checkpoint.iteration, alg="philox")
            batch = self.tasks.sample(seed, self.batch_size)
        except Exception:  # tasks that cannot be drawn outside of the loop
            batch = None
        message += divergence.label_problem(self.learner, state.params, batch)
        message += f". {divergence.ADVICE}."
        if self.run_dir is not None:
            self._save(checkpoint)
            message += f" The state before it is saved in {self.run_dir.path}"
            if batch is not None:
                path = divergence.keep_batch(self.run_dir, checkpoint.iteration, self.seed, batch)
                message += f", its tasks in {path.name}: `maml_tf replay SPEC.yaml` computes it again, number by number"
            message += "."
        raise FloatingPointError(message)

    def _end_of_row(self, iteration: int) -> int:
        """The iteration at which the row of losses ends that `iteration` is in."""
        end = min(_next_multiple(iteration, max(1, self.iterations // LOGS_PER_RUN)), self.iterations)
        return min(end, _next_multiple(iteration, self.validate_every)) if self.validate else end

    def _validation_is_due(self, iteration: int) -> bool:
        return self.validate is not None and (iteration % self.validate_every == 0 or iteration == self.iterations)

    def _shown(self, checkpoint: Checkpoint) -> dict[str, float]:
        shown = {"loss": checkpoint.losses[-1][1]} if checkpoint.losses else {}
        if checkpoint.validations:
            shown |= {"validation": checkpoint.validations[-1][1], "best": checkpoint.best_score}
        return shown

    def _time_to_save(self) -> bool:
        waited = time.monotonic() - self._saved_at
        return waited > max(SECONDS_BETWEEN_SAVES, self._saving_took / SAVING_SHARE)

    def _save(self, checkpoint: Checkpoint) -> None:
        if self.run_dir is not None:
            started = time.monotonic()
            self.run_dir.write(checkpoint)
            self._saved_at = time.monotonic()
            self._saving_took = self._saved_at - started

    def _how_to_go_on(self) -> str:
        if self.run_dir is None or not self.run_dir.exists():
            return f"{self.label}: stopped before the first state was saved; the same command begins again"
        reached = self.run_dir.read().iteration
        return (
            f"{self.label}: stopped at iteration {reached} of {self.iterations}; the state is saved in "
            f"{self.run_dir.path}. Go on by the same command with --resume (resume=True)"
        )

    def _what_is_compiled(self) -> str:
        numbers = sum(math.prod(p.shape) for p in self.learner.initial_params())
        steps = getattr(self.learner, "num_steps", None)
        inner = "" if steps is None else f", {steps} inner steps"
        compiler = "XLA" if self.learner.task_execution.jit_compile else "TensorFlow"
        return f"compiling an iteration with {compiler}: {self.batch_size} tasks{inner}, {numbers} parameters"


def _next_multiple(iteration: int, every: int) -> int:
    return (iteration // every + 1) * every
