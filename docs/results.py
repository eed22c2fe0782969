"""Write the tables of results that stand in README.md and the pages of docs that `TABLES` names.

`python docs/results.py`, after the experiments `paper-cpu` and `osie`, the bench by eye, that of
heads or the kills have run; a test compares them.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from msroi.audit.readings import reach_of
from msroi.encoders.methods import METHODS
from msroi.experiment.comparison import BASELINE
from msroi.experiment.layout import Layout
from msroi.files import Row, csv_rows, write_text
from msroi.markdown import markdown_table
from msroi.measures.gaze import GAZE
from msroi.measures.perceptual import JUDGES

EXPERIMENT, PROPOSED = Layout("paper-cpu"), Layout("osie")
BY_EYE = Path("results/by_eye/comparison.csv")
HEADS = Path("results/heads/heads.csv")
KILLS = Path("results/torture/kills.csv")
QUALITIES = ("30", "50", "70")
SETS = {"3": "3 (SALICON)", "4": "4 (General-100)"}
# the rows of the tables of judges in docs/findings.md: methods, their peers, judges
OURS = ("trellis", "roi-trellis")
PEERS = ("mozjpeg", "jpegli", BASELINE)
WHOLE = (
    *("ssimulacra2", "butteraugli_3norm", "butteraugli_max", "psnr_rgb_db"),
    *("psnr_hvs_m_db", "ms_ssim_luma", "lpips", "gmsd"),
)
SALIENT = (
    *("ssimulacra2_composite", "psnr_hvs_m_composite_db", "ms_ssim_luma_composite"),
    "lpips_salient",
)
# of judges that the stage lacks: label, decimals, whether more is better
EXTRA = {
    "butteraugli_3norm": ("Butteraugli, 3-norm", 3, False),
    "butteraugli_max": ("Butteraugli, maximum", 2, False),
    "psnr_rgb_db": ("PSNR (dB)", 2, True),
}
JUDGED_AT = ("30", "50", "70", "85")
# measures of the tables of docs/gaze.md, and maps that are compared there: hard borders with soft
# ones, one class with five
SEEN = ("psnr_fixated_db", "psnr_edges_db", "ssim_fixated", "ssimulacra2_fixated")
SEEN_WHOLE = ("psnr_rgb_db", "ssimulacra2")
MAP_PAIRS = (("hard", "readout"), ("top-1", "paper"))
# of README.md: label, table, its data set, the column that names the measure, the measure
SEEN_IN = (PROPOSED.gaze / "comparison.csv", "osie")
JUDGED_IN = (PROPOSED.judges / "comparison.csv", "osie")
HEADLINE = (
    ("SSIMULACRA 2 in the most fixated fifth", *SEEN_IN, "measure", "ssimulacra2_fixated"),
    ("PSNR at fixations, dB", *SEEN_IN, "measure", "psnr_fixated_db"),
    ("SSIMULACRA 2, whole image", *SEEN_IN, "measure", "ssimulacra2"),
    ("PSNR-HVS-M, whole image, dB", *JUDGED_IN, "judge", "psnr_hvs_m_db"),
)
# of docs/heads.md: the head of a column, the map, the side of the input, and the measure
OF_HEADS = (
    ("top-5 at 224", "top-5", "224", "auc_judd"),
    ("top-5", "top-5", "448", "auc_judd"),
    ("shuffled", "top-5", "448", "shuffled_auc"),
    ("top-1", "top-1", "448", "auc_judd"),
    ("top-5, no mean", "top-5, no mean", "448", "auc_judd"),
    ("shuffled", "top-5, no mean", "448", "shuffled_auc"),
    ("mean alone", "mean", "448", "auc_judd"),
    ("energy", "energy", "448", "auc_judd"),
    ("box, top-5", "top-5", "448", "box_share"),
    ("box, no mean", "top-5, no mean", "448", "box_share"),
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


def signed(value: str, digits: int) -> str:
    """Return a difference with its sign, a minus being one of typography."""
    return f"{float(value):+.{digits}f}".replace("-", "−")


def compared(method: str, against: str, column: str) -> list[str]:
    """Return a column of the comparison of two methods, by quality, of all photographs."""
    found = {
        row["match_quality"]: row[column]
        for row in csv_rows(EXPERIMENT.metrics / "comparison.csv")
        if (row["dataset"], row["method"], row["against"]) == ("all", method, against)
    }
    return [found[quality] for quality in JUDGED_AT]


def differences(method: str, against: str, measure: str, digits: int) -> list[str]:
    """Return a method's mean differences from another, by quality, of all photographs."""
    return [signed(value, digits) for value in compared(method, against, measure)]


def gains() -> Iterator[Sequence[str]]:
    """Yield the rows of what each method gains over plain JPEG."""
    columns = (
        ("PSNR, dB", "psnr_rgb_db", 2),
        ("saliency-weighted PSNR, dB", "wpsnr_rgb_db", 2),
        ("SSIM", "ssim_luma", 3),
        ("MS-SSIM", "ms_ssim_luma", 4),
    )
    yield "method", "n at Q 30, 50, 70, 85", *(head for head, _, _ in columns)
    for method in METHODS.values():
        if method.name == BASELINE:
            continue
        counts = ", ".join(compared(method.name, BASELINE, "n"))
        cells = [
            ", ".join(differences(method.name, BASELINE, measure, digits))
            for _, measure, digits in columns
        ]
        yield method.label, counts, *cells


def judges(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the rows of how our methods differ from others by some judges, of all photographs.

    Those that stage `judges` lacks are of the bench by eye.
    """
    found = {
        tuple(row[key] for key in ("method", "against", "judge", "match_quality")): row
        for table in (BY_EYE, EXPERIMENT.judges / "comparison.csv")
        for row in csv_rows(table)
        if row["dataset"] == "all"
    }
    yield "", "judge", "n", "its role", *(f"Q {quality}" for quality in JUDGED_AT)
    for method in OURS:
        for against in PEERS:
            pair = f"`{method}` − {METHODS[against].label}"
            for name in names:
                cells = [found[method, against, name, quality] for quality in JUDGED_AT]
                label, digits, higher = EXTRA.get(name) or of_judge(name)
                yield (
                    pair if name == names[0] else "",
                    label + ("" if higher else ", less is better"),
                    numbers(cells),
                    cells[0]["role"],
                    *(
                        f"{signed(cell['difference'], digits)}; {float(cell['won']):.0%}"
                        for cell in cells
                    ),
                )


def of_judge(name: str) -> tuple[str, int, bool]:
    """Return the label of a judge, its decimals, and whether more is better."""
    judge = JUDGES[name]
    return judge.title.removesuffix(" of the composite"), judge.gain_digits, judge.higher_is_better


def whole() -> Iterator[Sequence[str]]:
    """Yield the rows of the judges of the whole image."""
    yield from judges(WHOLE)


def salient() -> Iterator[Sequence[str]]:
    """Yield the rows of the judges of the most salient fifth."""
    yield from judges(SALIENT)


def gaze_rows(name: str) -> list[Row]:
    """Read a table of stage gaze of both experiments; one has no rows before the stage has run."""
    found: list[Row] = []
    for layout in (PROPOSED, EXPERIMENT):
        path = layout.gaze / name
        for row in csv_rows(path) if path.is_file() else ():
            found.append(row | {"dataset": f"{row['dataset']}, `{layout.experiment}`"})
    return found


def with_interval(row: Row, digits: int) -> str:
    """Return a mean difference and its 95 % interval."""
    if not row["low"]:
        return signed(row["difference"], digits) if row["difference"] else ""
    low, high = (signed(row[end], digits) for end in ("low", "high"))
    return f"{signed(row['difference'], digits)} ({low} to {high})"


def seen_in_maps(
    head: Sequence[str], wanted: Callable[[Row], bool], first: Callable[[Row], str]
) -> Iterator[Sequence[str]]:
    """Yield rows of differences by map, of which `first` is the cell that names the maps."""
    names = (*SEEN, *SEEN_WHOLE)
    yield *head, "n", *(GAZE[name].title for name in names)
    cells: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in filter(wanted, gaze_rows("maps.csv")):
        key = row["dataset"], f"`{row['method']}`", first(row)
        cells.setdefault(key, {})[row["measure"]] = row
    for key, found in cells.items():
        values = [with_interval(found[name], GAZE[name].gain_digits) for name in names]
        yield *key, found[names[0]]["n"], *values


def gaze_maps() -> Iterator[Sequence[str]]:
    """Yield the rows of what each method gains over plain JPEG by each map."""
    yield from seen_in_maps(
        ("set", "method", "map"),
        lambda row: row["against"] == BASELINE,
        lambda row: f"`{row['map']}`",
    )


def gaze_pairs() -> Iterator[Sequence[str]]:
    """Yield the rows of what a method gains by one map over another."""
    yield from seen_in_maps(
        ("set", "method", "maps"),
        lambda row: (row["map"], row["against"]) in MAP_PAIRS,
        lambda row: f"`{row['map']}` − `{row['against']}`",
    )


def gaze_methods() -> Iterator[Sequence[str]]:
    """Yield the rows of how `roi-trellis` differs from others where people look."""
    yield "set", "difference", "measure", "its role", *(f"Q {quality}" for quality in JUDGED_AT)
    rows = [row for row in gaze_rows("comparison.csv") if row["method"] == OURS[1]]
    keys = ("dataset", "against", "measure", "match_quality")
    found = {tuple(row[key] for key in keys): row for row in rows}
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        for against in (OURS[0], *PEERS):
            for name in (*SEEN, *SEEN_WHOLE):
                cells = [found[dataset, against, name, quality] for quality in JUDGED_AT]
                first = name == SEEN[0]
                yield (
                    f"{dataset} (n = {cells[0]['n']})" if first else "",
                    f"`{OURS[1]}` − {METHODS[against].label}" if first else "",
                    GAZE[name].title,
                    cells[0]["role"],
                    *(with_interval(cell, GAZE[name].gain_digits) for cell in cells),
                )


def gaze_bytes() -> Iterator[Sequence[str]]:
    """Yield the rows of how many bytes our methods need at equal quality."""
    names = (*SEEN, *SEEN_WHOLE)
    yield "set", "method", "against", "n", *(GAZE[name].label for name in names)
    cells: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in gaze_rows("bytes.csv"):
        if row["method"] in OURS and row["against"] in PEERS:
            key = row["dataset"], row["method"], row["against"]
            cells.setdefault(key, {})[row["measure"]] = row
    for (dataset, method, against), found in cells.items():
        ratios = [
            f"{float(row['ratio']):.3f} ({float(row['low']):.3f} to {float(row['high']):.3f})"
            if row["low"]
            else row["ratio"]
            for row in (found[name] for name in names)
        ]
        n = numbers(found.values())
        yield dataset, METHODS[method].label, METHODS[against].label, n, *ratios


def headline() -> Iterator[Sequence[str]]:
    """Yield the rows of what the default method gains over mozjpeg, and of what it loses."""
    ours, peer = OURS[1], PEERS[0]
    yield f"`{ours}` − {METHODS[peer].label}", "n", *(f"Q {quality}" for quality in JUDGED_AT)
    for label, path, dataset, key, name in HEADLINE:
        found = {
            row["match_quality"]: row
            for row in csv_rows(path)
            if row["dataset"] == dataset
            and (row["method"], row["against"], row[key]) == (ours, peer, name)
        }
        cells = [found[quality] for quality in JUDGED_AT]
        yield label, numbers(cells), *(with_interval(students(cell), 1) for cell in cells)


def students(row: Row) -> Row:
    """Return a difference with Student's interval of 95 %, if it has none, from n and sd."""
    if "low" in row:
        return row
    n, middle = int(row["n"]), float(row["difference"])
    reach = reach_of(n) * float(row["sd"]) / n**0.5
    return row | {"low": str(middle - reach), "high": str(middle + reach)}


def numbers(rows: Collection[Row]) -> str:
    """Return how many photographs there are: one number, or the fewest and the most."""
    counts = sorted({int(row["n"]) for row in rows})
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def heads() -> Iterator[Sequence[str]]:
    """Yield the rows of how heads classify, and of what their maps show."""
    yield "head", "images × epochs", "top-1 / top-5 (n)", *(name for name, *_ in OF_HEADS)
    rows: dict[str, dict[tuple[str, ...], Row]] = {}
    for row in csv_rows(HEADS):
        key = row["map"], row["input_px"], row["measure"]
        rows.setdefault(row["head"], {})[key] = row
    for name, found in rows.items():
        first = next(iter(found.values()))
        cells = (found[tuple(key)] for _, *key in OF_HEADS)
        yield (
            name,
            f"{first['images']} × {first['epochs']}",
            f"{float(first['top1']):.3f} / {float(first['top5']):.3f} ({first['n_classified']})",
            *(f"{float(row['mean']):.2f} ± {float(row['standard_error']):.2f}" for row in cells),
        )


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
    "headline": (Path("README.md"), headline),
    "replication": (Path("docs/findings.md"), replication),
    "gains": (Path("docs/findings.md"), gains),
    "judges": (Path("docs/findings.md"), whole),
    "salient": (Path("docs/findings.md"), salient),
    "gaze methods": (Path("docs/gaze.md"), gaze_methods),
    "gaze maps": (Path("docs/gaze.md"), gaze_maps),
    "gaze pairs": (Path("docs/gaze.md"), gaze_pairs),
    "gaze bytes": (Path("docs/gaze.md"), gaze_bytes),
    "heads": (Path("docs/heads.md"), heads),
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
