"""Which photographs of a dataset train, validate and test: `data/splits/<dataset>.csv`.

A split is part of an experiment's meaning, so it stands in the repository, one row a photograph. It
does not stand in the archive that the photographs come in.
"""

from pathlib import Path

from msroi.errors import ParameterError
from msroi.files import read_csv

FOLDER = Path("data/splits")
COLUMNS = ("image", "split")
SPLITS = ("train", "validation", "test")


def read_split(dataset: str, split: str) -> frozenset[str]:
    """Return the names, with suffix, of a dataset's photographs that are in `split`.

    Raises
    ------
    ParameterError
        If the data set has no file of splits, or none of its photographs is in this one.
    """
    path = FOLDER / f"{dataset}.csv"
    if not path.is_file():
        raise ParameterError(
            f"{path} is missing, so {dataset} has no split {split!r}; write the file with the "
            f"columns {' and '.join(COLUMNS)}, or leave the split empty."
        )
    names = frozenset(row["image"] for row in read_csv(path) if row["split"] == split)
    if not names:
        raise ParameterError(
            f"{path} has no photograph in split {split!r}; it has "
            f"{', '.join(sorted({row['split'] for row in read_csv(path)}))}."
        )
    return names
