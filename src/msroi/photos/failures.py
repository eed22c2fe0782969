"""What is wrong with one photo of many, in one sentence, so that the others go on."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msroi import system_errors
from msroi.errors import ImageError
from msroi.images import NO_MEMORY

T = TypeVar("T")

OUT_OF_MEMORY = "RESOURCE_EXHAUSTED"  # as JAX says it


def outcome(image: Path, action: Callable[[], T]) -> T | ImageError:
    """Return what an action gives, or what is wrong with the image that it works on."""
    try:
        return action()
    except ImageError as error:
        return error
    except MemoryError:
        return ImageError(f"{image} {NO_MEMORY}.")
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return ImageError(f"{image} has too long a name for its results; shorten it.")
        refused = system_errors.sentence(error)
        if refused is None:
            raise
        return ImageError(f"{image} is not written: {refused}")
    except RuntimeError as error:  # as JAX says it
        if OUT_OF_MEMORY not in str(error):
            raise
        return ImageError(f"{image} {NO_MEMORY}.")
