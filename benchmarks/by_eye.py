"""The encoders by measures of what people see, at the size of plain JPEG, on photographs of yours.

`python -m benchmarks.by_eye FOLDER … --images 40` takes 40 photographs of each folder, evenly by
name, and writes two tables to `results/by_eye`: `per_image.csv`, a row for each photograph,
method and quality, and `comparison.csv`, each method beside plain JPEG, mozjpeg and jpegli. Where
Debian's `butteraugli_main` is installed (libjxl-devtools), Butteraugli judges, too. With
`--shares` it compares shares of the saliency map instead (`shares.csv`, `shares_comparison.csv`).
The maps are those of the packaged network. The stage `judges` does the same for an experiment.
"""

import argparse
import functools
import io
import multiprocessing
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from msroi import Model
from msroi.encoders import jpeg, search
from msroi.encoders.methods import Encoder, encoder
from msroi.encoders.trellis_jpeg import TrellisJpeg
from msroi.experiment import params
from msroi.experiment.comparison import flag
from msroi.files import write_csv
from msroi.images import Pixels, read_rgb
from msroi.measures.distortion import METRICS
from msroi.measures.measure import BLIND, TUNED, Measure, by_column
from msroi.measures.perceptual import JUDGES
from msroi.stages import judges

FOLDER = Path("results/by_eye")
QUALITIES = (30, 50, 70, 85)
BUTTERAUGLI = "butteraugli_main"
EXTRA = by_column(
    (
        METRICS["psnr_rgb_db"],
        replace(
            JUDGES["lpips"],
            column="butteraugli_3norm",
            label="Butteraugli, 3-norm",
            role=TUNED,
            function=lambda image, file, _: butteraugli(image, file)[0],
        ),
        replace(
            JUDGES["lpips"],
            column="butteraugli_max",
            label="Butteraugli, maximum",
            role=BLIND,
            function=lambda image, file, _: butteraugli(image, file)[1],
        ),
    )
)
SHARES = (0.0, 0.15, 0.3, 0.5, 0.7, 0.85)
TOLERANCE_PCT = 0.5
COMPARED = ("jpeg", "trellis-psnr", "trellis", "roi-trellis", "mozjpeg", "jpegli")
WORKERS = 2


def encoders(shares: bool) -> dict[str, Encoder]:
    """Return what is compared: methods, or shares of the map beside the peers."""
    compress = params.load("paper-cpu").compress
    if not shares:
        return {name: encoder(name, compress) for name in COMPARED}
    given = compress.trellis
    ours = {f"share {of:g}": TrellisJpeg("roi-trellis", given, of) for of in SHARES}
    return {name: encoder(name, compress) for name in ("jpeg", "mozjpeg", "jpegli")} | ours


@functools.lru_cache(2)
def _butteraugli(reference: bytes, distorted: bytes) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("reference.ppm", "distorted.ppm")]
        for path, data in zip(paths, (reference, distorted), strict=True):
            path.write_bytes(data)
        done = subprocess.run([BUTTERAUGLI, *paths], capture_output=True, text=True, check=True)
    lines = done.stdout.split("\n")  # the maximum, then `3-norm: x`
    return float(lines[1].split()[1]), float(lines[0])


def butteraugli(reference: Pixels, distorted: Pixels) -> tuple[float, float]:
    """Return Butteraugli's 3-norm and its maximum, less is better."""
    return _butteraugli(*(ppm(image) for image in (reference, distorted)))


def ppm(image: Pixels) -> bytes:
    """Return an image as a PPM file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PPM")
    return file.getvalue()


def extra() -> dict[str, Measure]:
    """Return the measures beyond the judges of the lock, of what is installed."""
    installed = shutil.which(BUTTERAUGLI) is not None
    return {name: one for name, one in EXTRA.items() if installed or "butter" not in name}


@functools.cache
def model() -> Model:
    """Load the packaged network, once a process."""
    return Model()


def rows(shares: bool, qualities: Sequence[int], photograph: Path) -> list[dict[str, Any]]:
    """Return the judged rows of one photograph, method by method."""
    image = read_rgb(photograph)
    saliency = model().saliency(image)
    targets = {quality: len(jpeg.encode(image, quality)) for quality in qualities}
    found, files = [], []
    for name, one in encoders(shares).items():
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
    more = [
        {name: one.function(image, file, saliency) for name, one in extra().items()}
        for file in files
    ]
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
    parser.add_argument("--shares", action="store_true", help="compare shares of the map")
    parser.add_argument("--qualities", type=int, nargs="+", default=QUALITIES)
    given = parser.parse_args()
    chosen = list(photographs(given.folders, given.images))
    one = functools.partial(rows, given.shares, given.qualities)
    # a process each, as much of the work holds the interpreter's lock
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool:
        done = tqdm(pool.map(one, chosen), total=len(chosen), unit="photograph")
        table = [row for of_one in done for row in of_one]
    table_name, comparison = (
        ("shares", "shares_comparison") if given.shares else ("per_image", "comparison")
    )
    columns = (*judges.COLUMNS, *extra())
    write_csv(
        FOLDER / f"{table_name}.csv", columns, ({c: row[c] for c in columns} for row in table)
    )
    compared = judges.compare(table, JUDGES | extra())
    write_csv(FOLDER / f"{comparison}.csv", judges.COMPARISON_COLUMNS, compared)


if __name__ == "__main__":
    main()
