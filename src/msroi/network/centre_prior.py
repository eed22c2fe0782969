"""The map that knows only where the centre is."""

import numpy as np
from numpy.typing import NDArray

# about 1 degree of visual angle in SALICON's photos of 640 × 480
CENTRE_SIGMA = 0.25  # of each side


def centre_prior(height: int, width: int) -> NDArray[np.float32]:
    """Return the map that knows only the centre, `(height, width) float32` in [0, 1].

    A Gaussian as wide as the image is: its standard deviation is `CENTRE_SIGMA` of each side. We
    fixed it beforehand, and did not fit it to the fixations that score it.
    """
    down, across = (
        np.exp(-0.5 * (((np.arange(side) + 0.5) / side - 0.5) / CENTRE_SIGMA) ** 2)
        for side in (height, width)
    )
    return np.outer(down, across).astype(np.float32)
