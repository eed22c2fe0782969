"""The encoders by measures of what people see, at the size of plain JPEG, on photographs of yours.

`python -m benchmarks.by_eye FOLDER … --images 40` takes 40 photographs of each folder, evenly by
name, and writes two tables to `results/by_eye`: `per_image.csv`, a row for each photograph,
method and quality, and `comparison.csv`, each method beside plain JPEG, mozjpeg and jpegli. With
`--shares` it compares shares of the saliency map instead (`shares.csv`, `shares_comparison.csv`).
The maps are those of the packaged network. The stage `judges` does the same for an experiment.
"""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from msroi import Model
from msroi.encoders import jpeg, search
from msroi.encoders.methods import METHODS, Encoder, encoder
from msroi.encoders.trellis_jpeg import TrellisJpeg
from msroi.experiment import params
from msroi.experiment.comparison import flag
from msroi.files import write_csv
from msroi.images import read_rgb
from msroi.stages import judges

FOLDER = Path("results/by_eye")
QUALITIES = (30, 50, 70, 85)
SHARES = (0.0, 0.15, 0.3, 0.5, 0.7, 0.85)
TOLERANCE_PCT = 0.5
WORKERS = 2


def encoders(shares: bool) -> dict[str, Encoder]:
    """Return what is compared: all methods, or shares of the map beside the peers."""
    compress = params.load("paper-cpu").compress
    if not shares:
        return {name: encoder(name, compress) for name in METHODS}
    given = compress.trellis
    ours = {f"share {of:g}": TrellisJpeg("roi-trellis", given, of) for of in SHARES}
    return {name: encoder(name, compress) for name in ("jpeg", "mozjpeg", "jpegli")} | ours


def rows(
    model: Model, made: dict[str, Encoder], qualities: Sequence[int], photograph: Path
) -> list[dict[str, Any]]:
    """Return the judged rows of one photograph, method by method."""
    image = read_rgb(photograph)
    saliency = model.saliency(image)
    targets = {quality: len(jpeg.encode(image, quality)) for quality in qualities}
    found, files = [], []
    for name, one in made.items():
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
    return [row | value for row, value in zip(found, values, strict=True)]


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
    one = partial(rows, Model(), encoders(given.shares), given.qualities)
    with ThreadPoolExecutor(WORKERS) as pool:
        done = tqdm(pool.map(one, chosen), total=len(chosen), unit="photograph")
        table = [row for of_one in done for row in of_one]
    table_name, comparison = (
        ("shares", "shares_comparison") if given.shares else ("per_image", "comparison")
    )
    write_csv(
        FOLDER / f"{table_name}.csv",
        judges.COLUMNS,
        ({c: r[c] for c in judges.COLUMNS} for r in table),
    )
    write_csv(FOLDER / f"{comparison}.csv", judges.COMPARISON_COLUMNS, judges.compare(table))


if __name__ == "__main__":
    main()
