"""Compresses photos one after another, with a method's parameters and its model in memory."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msroi.encoders.methods import METHODS, encoder
from msroi.errors import ImageError
from msroi.images import Saliency
from msroi.photos import memory, packaged
from msroi.photos.compiled import keep_compiled
from msroi.photos.failures import outcome
from msroi.photos.goals import Found, Goal
from msroi.photos.photo import compressed, gain_db, opened
from msroi.photos.sample import places

if TYPE_CHECKING:
    from msroi.photos.model import Model

# the methods without a map that JAX computes for
COMPILED = frozenset({"trellis-psnr", "trellis"})


def load_model(experiment: str | None) -> "Model":
    """Load an experiment's trained network, or the package's."""
    from msroi.photos.model import Model  # needs JAX, which takes a second

    keep_compiled()
    return Model(experiment=experiment)


@dataclass(frozen=True)
class Made:
    """The file made of a photo, which nobody has written yet.

    Attributes
    ----------
    data
        The whole file, with its metadata.
    found
        What the goal has found, without them.
    method
        The method's name.
    encoder
        The versions of what made the file.
    original_bytes
        Of the photo's own file.
    is_jpeg
        Whether that is a JPEG.
    left_out
        What the new file can't keep, in words.
    gain_db
        What `photo.gain_db` says, for a target of a size.
    """

    data: bytes
    found: Found
    method: str
    encoder: str
    original_bytes: int
    is_jpeg: bool
    left_out: tuple[str, ...]
    gain_db: float | None


class Compressor:
    """Compresses photos by a method to a goal."""

    def __init__(self, method: str, goal: Goal, experiment: str | None) -> None:
        """Load an experiment's parameters and, if the method needs a map, its model.

        Raises
        ------
        MissingError, ParameterError, SourceError
            As `Model` and `packaged.parameters` do.
        """
        memory.suit(large=False)  # also before JAX starts its threads
        self.method, self.goal = method, goal
        self.params = packaged.parameters(experiment).compress
        if method in COMPILED:
            keep_compiled()
        self.encoder = encoder(method, self.params)
        self.model = load_model(experiment) if METHODS[method].needs_map else None
        # a map is made while its photo's plain JPEG is judged
        self._maps = ThreadPoolExecutor(1)

    def __call__(self, image: Path) -> Made | ImageError:
        """Compress a photo, or return what is wrong with it."""
        return outcome(image, lambda: self._made(image))

    def _made(self, image: Path) -> Made:
        photo = opened(image)
        large = places(*photo.pixels.shape[:2]) is not None
        memory.suit(large=large)
        model = self.model

        def made() -> Saliency | None:
            return None if model is None else photo.as_stored(model.saliency(photo.upright()))

        saliency = self._maps.submit(made).result
        if large:
            saliency()  # a large photo's comes first, as both at once would take more memory
        data, found = compressed(photo, self.method, self.params, saliency, self.goal)
        of_a_size = found.target_bytes is not None and self.method != "jpeg"
        return Made(
            data,
            found,
            self.encoder.name,
            self.encoder.version,
            image.stat().st_size,
            photo.is_jpeg,
            photo.left_out,
            gain_db(photo.pixels, found.data, saliency()) if of_a_size else None,
        )
