"""What the jobs on images share: photographs, a map of saliency, and one core to work on."""

import os
import platform

import numpy as np
from PIL import Image, ImageOps

from msroi.images import Pixels, Saliency

PHOTOS = ("astronaut", "coffee", "chelsea")  # of skimage.data
WIDTH_PX, HEIGHT_PX = 640, 480
# read when JAX is imported, which the encoders do when they are made
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def on_one_core() -> str:
    """Keep the program to one core where the system allows it; describe the machine."""
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} {ONE_THREAD}".strip()
    machine = f"{platform.system()} on {platform.machine()}"
    if not hasattr(os, "sched_setaffinity"):
        return f"{machine}, {os.cpu_count()} cores, any of them used"
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    return f"{machine}, {len(cores)} cores, one of them used"


def photographs() -> list[Pixels]:
    """Return `PHOTOS`, cut to 4:3 about the middle and resized: `(480, 640, 3) uint8`."""
    import skimage.data

    size = (WIDTH_PX, HEIGHT_PX)
    photos = (Image.fromarray(getattr(skimage.data, name)()) for name in PHOTOS)
    return [np.asarray(ImageOps.fit(photo, size, Image.Resampling.LANCZOS)) for photo in photos]


def centred_map(height: int, width: int) -> Saliency:
    """Return a Gaussian in the middle, `(height, width)` in [0, 1]."""
    y, x = np.linspace(-1, 1, height), np.linspace(-1, 1, width)
    return np.asarray(np.exp(-(y[:, None] ** 2 + x**2) / 0.3), np.float32)
