"""The encoders by measures of what people see, at the size of plain JPEG, on photographs of yours.

`python -m benchmarks.by_eye FOLDER … --images 40` takes 40 photographs of each folder, evenly by
name, and writes two tables to `results/by_eye`: `per_image.csv`, a row for each photograph,
method and quality, and `comparison.csv`, each method beside plain JPEG, mozjpeg and jpegli. Where
Debian's `butteraugli_main` is installed (libjxl-devtools), Butteraugli judges, too. With
`--vary share` it compares shares of the saliency map in `roi-trellis` instead (`share.csv`,
`share_comparison.csv`), with `--vary masking` powers of the masking in `trellis`. The maps are
those of the packaged network. The stage `judges` does the same for an experiment.
"""

import argparse
import functools
import multiprocessing
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from benchmarks import eye
from msroi import Model
from msroi.encoders import jpeg, search
from msroi.encoders.methods import Encoder, encoder
from msroi.encoders.trellis_jpeg import TrellisJpeg
from msroi.experiment import params
from msroi.experiment.comparison import flag
from msroi.files import write_csv
from msroi.images import Pixels, Saliency, read_rgb
from msroi.measures.distortion import METRICS
from msroi.measures.measure import BLIND, Measure
from msroi.measures.perceptual import JUDGES
from msroi.stages import judges

FOLDER = Path("results/by_eye")
QUALITIES = (30, 50, 70, 85)
PSNR = METRICS["psnr_rgb_db"]
# what can be varied: its values, beside plain JPEG and the peers
VARIED = {
    "share": (0.0, 0.15, 0.3, 0.5, 0.7, 0.85),
    "masking": (0.4, 0.65, 0.8, 0.9, 1.0, 1.2),
}
TOLERANCE_PCT = 0.5
COMPARED = ("jpeg", "trellis-psnr", "trellis", "roi-trellis", "mozjpeg", "jpegli")
WORKERS = 2


def encoders(varied: str | None) -> dict[str, Encoder]:
    """Return what is compared: methods, or values of one parameter beside the peers."""
    compress = params.load("paper-cpu").compress
    if varied is None:
        return {name: encoder(name, compress) for name in COMPARED}
    given = compress.trellis
    ours = {
        f"{varied} {value:g}": TrellisJpeg("roi-trellis", given, value)
        if varied == "share"
        else TrellisJpeg("trellis", replace(given, masking=value), 0.0)
        for value in VARIED[varied]
    }
    return {name: encoder(name, compress) for name in ("jpeg", "mozjpeg", "jpegli")} | ours


def extra() -> dict[str, Measure]:
    """Return the measures beyond the judges of the lock, of what is installed."""
    found = {"psnr_rgb_db": PSNR}
    if shutil.which(eye.BUTTERAUGLI):
        found["butteraugli_3norm"] = eye.MEASURES["butteraugli_3norm"]
        found["butteraugli_max"] = replace(eye.MEASURES["butteraugli_max"], role=BLIND)
    return found


def beyond(image: Pixels, file: Pixels, saliency: Saliency) -> dict[str, float]:
    """Return the values of `extra` of a file."""
    values = {"psnr_rgb_db": PSNR.function(image, file, saliency)}
    if shutil.which(eye.BUTTERAUGLI):
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("reference.ppm", "distorted.ppm")]
            for path, pixels in zip(paths, (image, file), strict=True):
                Image.fromarray(pixels).save(path)
            values |= eye.butteraugli_of(*paths)
    return values


@functools.cache
def model() -> Model:
    """Load the packaged network, once a process."""
    return Model()


def rows(varied: str | None, qualities: Sequence[int], photograph: Path) -> list[dict[str, Any]]:
    """Return the judged rows of one photograph, method by method."""
    image = read_rgb(photograph)
    saliency = model().saliency(image)
    targets = {quality: len(jpeg.encode(image, quality)) for quality in qualities}
    found, files = [], []
    for name, one in encoders(varied).items():
        encode = one.prepare(image, saliency)
        for quality, target in targets.items():
            match = search.match_size(encode, target, start=quality)
            files.append(jpeg.decode(match.data))
            found.append(
                {
                    "experiment": "by_eye",
                    "dataset": photograph.parent.name,
                    "image": photograph.name,
                    "method": name,
                    "match_quality": quality,
                    "bytes": len(match.data),
                    "size_error_pct": f"{match.size_error_pct:.4f}",
                    "matched": flag(match.size_error_pct, TOLERANCE_PCT),
                }
            )
    values = judges.judged(image, saliency, files)
    more = [beyond(image, file, saliency) for file in files]
    return [row | value | of for row, value, of in zip(found, values, more, strict=True)]


def photographs(folders: Sequence[Path], images: int) -> Iterator[Path]:
    """Yield so many photographs of each folder, evenly by name."""
    for folder in folders:
        names = sorted(folder.iterdir())
        yield from (names[index * len(names) // images] for index in range(images))


def main() -> None:
    """Read the command line; judge; write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--images", type=int, default=40, help="how many of each folder")
    parser.add_argument("--vary", choices=VARIED, help="compare values of this parameter")
    parser.add_argument("--qualities", type=int, nargs="+", default=QUALITIES)
    given = parser.parse_args()
    chosen = list(photographs(given.folders, given.images))
    one = functools.partial(rows, given.vary, given.qualities)
    # a process each, as much of the work holds the interpreter's lock
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool:
        done = tqdm(pool.map(one, chosen), total=len(chosen), unit="photograph")
        table = [row for of_one in done for row in of_one]
    table_name, comparison = (
        (given.vary, f"{given.vary}_comparison") if given.vary else ("per_image", "comparison")
    )
    columns = (*judges.COLUMNS, *extra())
    write_csv(
        FOLDER / f"{table_name}.csv", columns, ({c: row[c] for c in columns} for row in table)
    )
    compared = judges.compare(table, JUDGES | extra())
    write_csv(FOLDER / f"{comparison}.csv", judges.COMPARISON_COLUMNS, compared)


if __name__ == "__main__":
    main()
