"""One photograph by every method, at the sizes of plain JPEG."""

from collections.abc import Iterator, Mapping

from msroi.encoders import jpeg, search
from msroi.encoders.methods import Encoder, encoder
from msroi.encoders.search import Match
from msroi.experiment.params import Compress
from msroi.images import Pixels, Saliency


def compress_image(
    image: Pixels, maps: Mapping[str, Saliency], params: Compress
) -> Iterator[tuple[Encoder, int, Match]]:
    """Yield `(encoder, match_quality, file)` for every method and quality of one image.

    Parameters
    ----------
    image
        `(H, W, 3) uint8` sRGB.
    maps
        The saliency map `(H, W) float32` in [0, 1] of each method that needs one.
    params
        The methods, the qualities of plain JPEG whose sizes are matched, and what the
        methods need.
    """
    references = {quality: jpeg.encode(image, quality) for quality in params.match_qualities}
    for method in params.methods:
        with_method = encoder(method, params)
        encode = with_method.prepare(image, maps.get(method))
        for quality, reference in references.items():
            yield with_method, quality, search.match_size(encode, len(reference), start=quality)
