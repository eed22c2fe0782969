"""Checkpoints: how far a training has come, as scratch until its results are on disk.

Snakemake and DVC delete a stage's outputs before it runs. So checkpoints lie outside any output, in
a folder named after everything that the training depends on. The training writes one after every
epoch, whole or not at all, and keeps the last two.
"""

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orbax.checkpoint as ocp

from msroi.errors import TrainingError
from msroi.experiment.layout import CODE, Layout
from msroi.experiment.params import Experiment
from msroi.files import digest, file_hash
from msroi.xla import jax

KEPT = 2


class Progress(NamedTuple):
    """Where a training stands after `len(history)` epochs."""

    params: Any
    state: Any
    history: list[dict[str, float]]


def checkpoint_folder(experiment: Experiment, layout: Layout, inputs_key: str) -> Path:
    """Return the scratch folder for checkpoints, keyed by all that the training depends on.

    `inputs_key` stands for the network, the images and the plan. The lock of the stage's code
    stands for the way of their training. How many devices share the work is not part of the key.
    """
    lock = CODE / "train.lock"
    train = json.dumps(asdict(experiment.train), sort_keys=True)
    parts = [inputs_key, train, str(experiment.seed), file_hash(lock) if lock.exists() else ""]
    return layout.scratch / "checkpoints" / digest(*parts)


class Checkpoints:
    """The checkpoints of one training.

    Attributes
    ----------
    folder
        Where they lie: one folder an epoch, named by its number from 1.
    """

    def __init__(self, folder: Path) -> None:
        """Open `folder`, and remove what lies beside it and what is half written."""
        options = ocp.CheckpointManagerOptions(
            max_to_keep=KEPT, enable_async_checkpointing=False, create=False
        )
        self.folder = folder
        others = [path for path in folder.parent.glob("*") if path.name != folder.name]
        # a checkpoint has its number as its name only once it is whole
        partial = [path for path in folder.glob("*") if not path.name.isdigit()]
        for left in others + partial:
            shutil.rmtree(left, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    @property
    def epoch(self) -> int:
        """The last epoch with a checkpoint, or 0 without any."""
        return int(self._manager.latest_step() or 0)

    def resume(self, start: Progress) -> Progress:
        """Return the last readable progress, or `start`.

        Parameters
        ----------
        start
            Progress after no epoch; its trees are those of the checkpoints.

        Returns
        -------
        Progress with NumPy arrays, bit for bit as they were saved.
        """
        while self.epoch:
            try:
                return self._read(self.epoch, start)
            except (OSError, ValueError, KeyError):  # damaged: the one before may be sound
                self._manager.delete(self.epoch)
        return start

    def _read(self, epoch: int, start: Progress) -> Progress:
        arrays = ocp.args.StandardRestore(on_host(start))
        history = ocp.args.JsonRestore()
        both = ocp.args.Composite(arrays=arrays, history=history)
        read = self._manager.restore(epoch, args=both)
        return Progress(**read.arrays, history=read.history)

    def save(self, progress: Progress) -> None:
        """Keep the progress after an epoch.

        Raises
        ------
        TrainingError
            If the disk is full; the checkpoints before are kept.
        """
        arrays = ocp.args.StandardSave(on_host(progress))
        history = ocp.args.JsonSave(progress.history)
        epoch = len(progress.history)
        with self.room_for(f"the checkpoint after epoch {epoch}"):
            self._manager.save(epoch, args=ocp.args.Composite(arrays=arrays, history=history))

    @contextmanager
    def room_for(self, what: str) -> Iterator[None]:
        """Say in one sentence that the disk is full where there was no room for `what`.

        Raises
        ------
        TrainingError
            In place of any error for want of space on the disk.
        """
        try:
            yield
        except (OSError, ValueError) as error:  # tensorstore reports by ValueError
            full = getattr(error, "errno", None) == errno.ENOSPC
            if not full and "No space left on device" not in str(error):
                raise
            raise TrainingError(
                f"The disk is full, so {what} could not be written; "
                f"free some space and run again{self.last_good(', which resumes from')}."
            ) from error

    def last_good(self, words: str) -> str:
        """Say which checkpoint is the last, after `words`, or nothing if there is none."""
        if not self.epoch:
            return ""
        return f"{words} the checkpoint after epoch {self.epoch} in {self.folder}"

    def remove(self) -> None:
        """Remove all checkpoints, once the training's results are on disk."""
        self._manager.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def on_host(progress: Progress) -> dict[str, Any]:
    """Return parameters and Adam's state as NumPy arrays."""
    trees = {"params": progress.params, "state": progress.state}
    arrays: dict[str, Any] = jax.tree.map(np.asarray, trees)
    return arrays
