"""Files of stage compress, moved from folders into shards."""

import zipfile

from msroi.experiment import encoded
from msroi.experiment.layout import Layout
from msroi.files import write_csv


def move_into_shards(layout: Layout) -> None:
    """Move the files of each set into one shard, and write which photographs it has."""
    rows = []
    for of_set in (layout.jpeg / "images").iterdir():
        files = sorted(of_set.rglob("*.jpg"))
        with zipfile.ZipFile(of_set / "00000.zip", "w") as archive:
            for path in files:
                archive.write(path, path.relative_to(of_set).as_posix())
                path.unlink()
        rows += [
            {"dataset": of_set.name, "image": image, "shard": "00000.zip"}
            for image in sorted({path.stem for path in files})
        ]
    write_csv(encoded.table(layout), encoded.COLUMNS, rows)
