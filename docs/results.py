"""Write the tables of results that stand in README.md, docs/encoder.md and docs/reliability.md.

`python docs/results.py`, after the experiment `paper-cpu` or the kills have run; a test compares
them.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msroi.encoders.methods import METHODS
from msroi.experiment.comparison import BASELINE
from msroi.experiment.layout import Layout
from msroi.files import csv_rows, write_text
from msroi.markdown import markdown_table
from msroi.measures.distortion import HEADLINE, METRICS

EXPERIMENT = Layout("paper-cpu")
KILLS = Path("results/torture/kills.csv")
QUALITIES = ("30", "50", "70")
SETS = {"3": "3 (SALICON)", "4": "4 (General-100)"}
PSNR, SSIM, WEIGHTED = (METRICS[name] for name in HEADLINE)
# what docs/encoder.md shows: a method, what it is compared with, and the measure
PAIRS = (
    ("trellis", "jpeg", PSNR),
    ("trellis", "jpeg", SSIM),
    ("roi-trellis", "jpeg", PSNR),
    ("roi-trellis", "jpeg", SSIM),
    ("roi-trellis", "jpeg", WEIGHTED),
    ("trellis", "mozjpeg", PSNR),
    ("roi-trellis", "mozjpeg", WEIGHTED),
    ("roi-trellis", "trellis", WEIGHTED),
    ("roi-trellis", "trellis", PSNR),
)


def replication() -> Iterator[Sequence[str]]:
    """Yield the rows of what the paper prints beside this run's means."""
    of_measure = ("this run", "difference")
    yield "table (set)", "Q", "method", "PSNR: paper", *of_measure, "SSIM: paper", *of_measure
    found = {
        (row["table"], row["match_quality"], row["method"], row["measure"]): row
        for row in csv_rows(EXPERIMENT.tables / "comparison.csv")
    }
    for table, of_set in SETS.items():
        for quality in QUALITIES:
            for method, name in (("jpeg", "JPEG"), ("msroi", "MS-ROI")):
                first = method == "jpeg"
                rows = [found[table, quality, method, measure] for measure in ("psnr_db", "ssim")]
                cells = [
                    row[column].replace("-", "−")
                    for row in rows
                    for column in ("published", "this_run", "difference")
                ]
                shown = of_set if first and quality == QUALITIES[0] else ""
                yield shown, quality if first else "", name, *cells


def differences(method: str, against: str, measure: str, digits: int) -> list[str]:
    """Return a method's mean differences from another, by quality, of all photographs."""
    found = {
        row["match_quality"]: float(row[measure])
        for row in csv_rows(EXPERIMENT.metrics / "comparison.csv")
        if (row["dataset"], row["method"], row["against"]) == ("all", method, against)
    }
    return [f"{found[quality]:+.{digits}f}".replace("-", "−") for quality in QUALITIES]


def gains() -> Iterator[Sequence[str]]:
    """Yield the rows of what each method gains over plain JPEG."""
    yield "method", "PSNR dB at Q 30, 50, 70", "saliency-weighted PSNR dB", "SSIM"
    columns = (("psnr_rgb_db", 2), ("wpsnr_rgb_db", 2), ("ssim_luma", 3))
    for method in (one for one in METHODS.values() if one.name != BASELINE):
        cells = [", ".join(differences(method.name, BASELINE, *column)) for column in columns]
        yield method.label, *cells


def encoder() -> Iterator[Sequence[str]]:
    """Yield the rows of how our encoders differ from others."""
    yield "", "measure", *QUALITIES
    before = None
    for method, against, measure in PAIRS:
        pair = f"`{method}` − `{against}`"
        yield (
            "" if pair == before else pair,
            measure.axis,
            *differences(method, against, measure.column, measure.gain_digits),
        )
        before = pair


def kills() -> Iterator[Sequence[str]]:
    """Yield the rows of the kills that tests/workflow/test_kills.py has recorded."""
    yield "killed", "outputs removed of", "after s", "at work", "run next", "given before", "took s"
    for row in csv_rows(KILLS):
        at_work = [stage for stage in row["while_at"].split("+") if stage != "-"]
        yield (
            f"`{row['killed']}`",
            f"`{row['stage']}`",
            row["after_s"],
            ", ".join(f"`{stage}`" for stage in at_work) or "no stage",
            f"`{row['next']}`",
            f"`{row['commands']}`" if row["commands"] else "",
            row["next_s"],
        )


def headed(rows: Iterator[Sequence[str]]) -> tuple[Sequence[str], Iterator[Sequence[str]]]:
    """Return the first row, which is the head, and the others."""
    return next(rows), rows


TABLES: dict[str, tuple[Path, Callable[[], Iterator[Sequence[str]]]]] = {
    "replication": (Path("README.md"), replication),
    "gains": (Path("README.md"), gains),
    "encoder": (Path("docs/encoder.md"), encoder),
    "kills": (Path("docs/reliability.md"), kills),
}


def filled(page: Path) -> str:
    """Return a page with its tables made anew."""
    text = page.read_text(encoding="utf-8")
    for name, (of_page, rows) in TABLES.items():
        if of_page == page:
            start, end = f"<!-- {name} -->\n\n", f"\n<!-- end of {name} -->"
            before, rest = text.split(start)
            text = before + start + markdown_table(*headed(rows())) + end + rest.split(end)[1]
    return text


if __name__ == "__main__":
    for page in {page for page, _ in TABLES.values()}:
        write_text(page, filled(page))
