"""Stage conventions: what the paper leaves open, measured in every way that it may mean.

The paper leaves open over which samples it takes PSNR, and which SSIM it means. It leaves open the
chroma subsampling, the Huffman tables, and how a size counts as equal. Nor does it say what its
sources had been through, or into how many levels it cuts a map. This stage measures plain JPEG and
the two-pass MS-ROI under each of these. So stage audit can say which of them, if any, explains a
printed number.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tqdm import tqdm

from msroi.encoders import jpeg, search
from msroi.encoders.two_pass import MsRoi, blend
from msroi.experiment.chunks import WORKERS
from msroi.experiment.comparison import AS_RUN, BASELINE, mean, sd, significant
from msroi.experiment.layout import Layout
from msroi.experiment.params import Compress, Experiment
from msroi.experiment.prepared_images import TestImage, followed, test_images
from msroi.experiment.selection import first_by_name
from msroi.files import Row, write_csv, write_json
from msroi.images import Pixels, Saliency, read_rgb
from msroi.measures.conventions import CONVENTIONS, measured

COLUMNS = (
    *("dataset", "image", "protocol", "method", "match_quality"),
    *("q_final", "bytes", "size_error_pct", *CONVENTIONS),
)

Encode = Callable[..., bytes]  # as `jpeg.encode`


@dataclass(frozen=True)
class Protocol:
    """One interpretation of what the paper leaves open.

    Attributes
    ----------
    name
        As results have it.
    encode
        Gives the JPEG of an image for a quality; both passes and both arms use it.
    optimised
        Whether the files get Huffman tables of their own, in both arms.
    source_quality
        The JPEG quality at which the source is stored before the experiment, or None for
        the source as it is.
    more_bytes_pct
        By how much the file of MS-ROI may be larger than plain JPEG's.
    levels
        Into how many levels the first pass cuts the map, or None for `compress.levels`.
    qualities
        The lowest and the highest quality of the first pass, or None for those of `compress`.
    """

    name: str
    encode: Encode = jpeg.encode
    optimised: bool = False
    source_quality: int | None = None
    more_bytes_pct: float = 0.0
    levels: int | None = None
    qualities: tuple[int, int] | None = None

    def of(self, params: Compress) -> Compress:
        """Return the parameters of the two passes under this protocol."""
        low, high = self.qualities or (params.quality_low, params.quality_high)
        levels = self.levels or params.levels
        return replace(params, levels=levels, quality_low=low, quality_high=high)


# The public code of Prakash et al. (2017) takes a file up to 20 % larger, by default. The paper
# says nothing of the number of levels, and that qualities go from 30 to 70.
PROTOCOLS = (
    Protocol(AS_RUN),
    Protocol("4:4:4", encode=partial(jpeg.encode, subsampling="4:4:4")),
    Protocol("optimised Huffman tables", optimised=True),
    Protocol("sources stored as JPEG of quality 90", source_quality=90),
    Protocol("sources stored as JPEG of quality 75", source_quality=75),
    Protocol("files 20 % larger", more_bytes_pct=20.0),
    Protocol("3 levels", levels=3),
    Protocol("9 levels", levels=9),
    Protocol("first pass of qualities 10 to 90", qualities=(10, 90)),
    Protocol("first pass of qualities 50 to 90", qualities=(50, 90)),
)


def arms(
    image: Pixels, saliency: Saliency, protocol: Protocol, params: Compress
) -> Iterator[tuple[str, int, search.Match]]:
    """Yield `(method, match_quality, file)` of both conditions under one protocol.

    Parameters
    ----------
    image, saliency
        `(H, W, 3) uint8` sRGB, the source as the protocol has it; `(H, W) float32` in [0, 1].
    protocol, params
        The reading; qualities, levels and what else the two passes need.
    """
    final = partial(protocol.encode, optimise=True) if protocol.optimised else protocol.encode
    blended = blend(image, saliency, protocol.of(params), protocol.encode)
    for quality in params.match_qualities:
        reference = final(image, quality)
        yield BASELINE, quality, search.Match(quality, reference, len(reference))
        target = round(len(reference) * (1 + protocol.more_bytes_pct / 100))
        yield MsRoi.name, quality, search.match_size(partial(final, blended), target, start=quality)


def photograph_rows(
    item: TestImage, layout: Layout, protocols: tuple[Protocol, ...], params: Compress
) -> list[dict[str, Any]]:
    """Measure one photograph under some protocols: rows of `COLUMNS`."""
    original = read_rgb(item.path(layout))
    of_method = followed(params, layout, item.dataset, item.image)
    saliency = of_method[MsRoi.name]
    rows = []
    for protocol in protocols:
        source = original
        if protocol.source_quality is not None:
            source = jpeg.decode(jpeg.encode(original, protocol.source_quality))
        for method, quality, match in arms(source, saliency, protocol, params):
            values = measured(source, jpeg.decode(match.data))
            rows.append(
                {
                    "dataset": item.dataset,
                    "image": item.image,
                    "protocol": protocol.name,
                    "method": method,
                    "match_quality": quality,
                    "q_final": f"{match.quality:.4f}",
                    "bytes": len(match.data),
                    "size_error_pct": f"{match.size_error_pct:.4f}",
                    **{name: significant(value) for name, value in values.items()},
                }
            )
    return rows


def run(experiment: Experiment, layout: Layout) -> None:
    """Measure every test photograph as this run has it, and the first of each set in every way."""
    params = replace(experiment.compress, match_qualities=experiment.conventions.match_qualities)
    items = list(test_images(layout))
    photographs = [(item.dataset, item.image) for item in items]
    chosen = set(first_by_name(photographs, experiment.conventions.images))

    def of(item: TestImage) -> list[dict[str, Any]]:
        everything = (item.dataset, item.image) in chosen
        return photograph_rows(item, layout, PROTOCOLS if everything else PROTOCOLS[:1], params)

    # the encoders and NumPy work without holding the interpreter's lock
    with ThreadPoolExecutor(WORKERS) as pool:
        done = tqdm(pool.map(of, items), desc="conventions", total=len(items), unit="image")
        rows = [row for rows in done for row in rows]
    write_csv(layout.conventions / "per_image.csv", COLUMNS, rows)
    write_json(layout.conventions / "summary.json", summarise(rows))


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Return dataset -> protocol -> method -> `q<match_quality>` -> n, mean and sd by measure."""
    cells: dict[tuple[str, str, str, int], list[Row]] = {}
    for row in rows:
        key = (row["dataset"], row["protocol"], row["method"], int(row["match_quality"]))
        cells.setdefault(key, []).append(row)
    summary: dict[str, Any] = {}
    for (dataset, protocol, method, quality), of_cell in cells.items():
        values = {name: [float(row[name]) for row in of_cell] for name in CONVENTIONS}
        cell = {"n": len(of_cell)}
        statistics = {
            "mean": {name: mean(found) for name, found in values.items()},
            "sd": {name: sd(found) for name, found in values.items()},
        }
        by_method = summary.setdefault(dataset, {}).setdefault(protocol, {}).setdefault(method, {})
        by_method[f"q{quality}"] = cell | statistics
    return summary
