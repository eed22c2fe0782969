"""An experiment's parameters: one file `config/<experiment>.yaml`, one section a stage.

Nothing has a default here: every value stands in the file, where DVC and Snakemake see
it. `workflow/schemas/experiment.schema.yaml` says what each means and may be.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from msroi.errors import ParameterError
from msroi.experiment.yaml import read_yaml as read_yaml  # also for those who use `params`

SCHEMA = Path("workflow/schemas/experiment.schema.yaml")

# names that become folders: of an experiment (as in the workflow's rules), and of a data or
# test set
EXPERIMENT_NAME = re.compile(r"[A-Za-z0-9_-]+")
FOLDER_NAME = re.compile(r"\w[\w.-]{0,99}")
MOST_BYTES = 2**17  # of a parameter file, which is then read in a few seconds
LONGEST_MESSAGE = 300  # of a complaint, which quotes the value

# JSON Schema takes 8.0 for an integer and NaN for a number; here they would break a stage
VALIDATOR = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: (
                isinstance(value, int | float)
                and not isinstance(value, bool)
                and math.isfinite(value)
            ),
        }
    ),
)


@dataclass(frozen=True)
class Download:
    """Which rows of `data/sources.csv` to fetch."""

    source: str
    datasets: tuple[str, ...]
    weights: str


@dataclass(frozen=True)
class TestSet:
    """Photographs to compress: `draw` of those in `dataset` that match `include` (0: all).

    Only those of `split` count, if it is not empty. They are means of `reduce` × `reduce` pixels.
    """

    dataset: str
    include: tuple[str, ...]
    split: str
    reduce: int
    draw: int


@dataclass(frozen=True)
class Prepare:
    """How the downloaded files become classes, splits and test sets."""

    training_set: str
    layout: str
    classes: dict[str, tuple[str, ...]]
    crops_per_class: int
    validate_last: int
    input_px: int
    test_sets: dict[str, TestSet]


@dataclass(frozen=True)
class Augment:
    """The ranges of the augmentation plan's draws (paper, section 2)."""

    views: int
    plain_view: bool
    rotation_deg: float
    scale_pct: float
    flips: bool


@dataclass(frozen=True)
class Train:
    """The network's head and its optimisation (paper, section 2)."""

    backbone: str
    trainable: str
    epochs: int
    batch_size: int
    learning_rate: float
    schedule: str
    logit_adjustment: float
    dropout: float
    mixup: float
    average: float
    features: str
    filters: int
    start: str
    init_std: float
    gap_init_std: float
    compute: str


@dataclass(frozen=True)
class Fits:
    """What goes with a backbone: values of `trainable`, layers of maps, fewest `filters`."""

    trainable: tuple[str, ...]
    layers: tuple[str, ...]
    filters: int


BACKBONES = {
    "vgg16": Fits(("all", "block5", "head"), ("conv3_3", "conv4_3", "conv5_3", "conv6_3"), 1),
    "efficientnet-lite0": Fits(("head",), ("stage3", "stage5", "stage7", "top"), 0),
}


@dataclass(frozen=True)
class Readout:
    """Where people look, read from features of the pretrained network, and how it learns that."""

    weights: str
    dataset: str
    input_px: int
    layers: tuple[str, ...]
    channels: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    dropout: float
    average: float


@dataclass(frozen=True)
class ClassMap:
    """The paper's rule: class activation maps of the most probable classes (section 1.2)."""

    top_classes: int
    weighting: str
    centre: float


@dataclass(frozen=True)
class FeatureMap:
    """The energy of the features of some layers, whatever class they speak for."""

    layers: tuple[str, ...]
    centre: float


@dataclass(frozen=True)
class ReadoutMap:
    """The density of fixations that the readout expects (stage readout).

    `blur` is the standard deviation of a Gaussian as a share of the width. `power` is that of the
    density: below 1 it is less sharp.
    """

    blur: float
    power: float


MapRule = ClassMap | FeatureMap | ReadoutMap
RULES: dict[str, type[MapRule]] = {
    "classes": ClassMap,
    "features": FeatureMap,
    "readout": ReadoutMap,
}


@dataclass(frozen=True)
class Heatmap:
    """Which saliency maps to make, by name, and by which rule (paper, sections 1.2 and 3.1).

    `passes_map` is the one whose passes with dropout the stage compares.
    """

    input_px: int
    maps: dict[str, MapRule]
    passes_map: str
    passes: int
    passes_images: int
    dropout: float


@dataclass(frozen=True)
class Trellis:
    """The project's own methods, `trellis` and `roi-trellis` (docs/encoder.md)."""

    lagrangian: float
    masking: float
    masking_variance: float
    saliency_share: float
    chroma: str


@dataclass(frozen=True)
class TrellisPsnr:
    """The method `trellis-psnr`, which minimises the squared error (docs/encoder.md)."""

    flatness_luma: float
    flatness_chroma: float
    chroma_step: float
    lagrangian: float
    masking: float
    chroma: str


@dataclass(frozen=True)
class Compress:
    """The methods, the size match and the two-pass MS-ROI method (paper, section 1.3).

    `follows` names which of `heatmap.maps` each method gets that needs a map. `store` and
    `shard_photographs` say where its files go (`encoded`).
    """

    methods: tuple[str, ...]
    follows: dict[str, str]
    match_qualities: tuple[int, ...]
    size_tolerance_pct: float
    levels: int
    quality_low: int
    quality_high: int
    store: str
    shard_photographs: int
    trellis: Trellis
    trellis_psnr: TrellisPsnr


@dataclass(frozen=True)
class Judges:
    """Which files of stage compress the perceptual metrics score (`perceptual`)."""

    images: int
    match_qualities: tuple[int, ...]


@dataclass(frozen=True)
class Gaze:
    """Of how many photographs of a set, and of which files, to measure what people see.

    Files of stage compress are those of `match_qualities`. `maps_quality` is the quality of plain
    JPEG. At its size a method follows one map after the other.
    """

    images: int
    match_qualities: tuple[int, ...]
    maps_quality: int


@dataclass(frozen=True)
class RateDistortion:
    """The points of every method's rate–distortion curve."""

    qualities: tuple[int, ...]
    images: int
    context: tuple[str, ...]


@dataclass(frozen=True)
class Conventions:
    """Of how many photographs of a set to measure every convention, at which sizes."""

    images: int
    match_qualities: tuple[int, ...]


@dataclass(frozen=True)
class Anova:
    """The statistics of the comparison (paper, section 3.2)."""

    alpha: float
    metrics: tuple[str, ...]
    match_qualities: tuple[int, ...]


@dataclass(frozen=True)
class Audit:
    """Which publications to audit, and which test set plays which of a paper's sets."""

    papers: tuple[str, ...]
    sets: dict[str, str]
    resamples: int


@dataclass(frozen=True)
class Report:
    """Which test set plays which part in Tables 1-4 and Figures 1-6."""

    salient_set: str
    texture_set: str
    images: int
    published: str


@dataclass(frozen=True)
class Experiment:
    """All parameters of one experiment, whose `name` is its file's name without the suffix.

    `main_map` is the one of `heatmap.maps` that weighs the saliency-weighted measures and that
    pages show.
    """

    name: str
    seed: int
    main_map: str
    download: Download
    prepare: Prepare
    augment: Augment
    train: Train
    readout: Readout
    heatmap: Heatmap
    compress: Compress
    judges: Judges
    gaze: Gaze
    rate_distortion: RateDistortion
    conventions: Conventions
    anova: Anova
    audit: Audit
    report: Report


def config_path(name: str) -> Path:
    """Return the parameter file of the experiment `name`."""
    return Path("config") / f"{name}.yaml"


def load(name: str) -> Experiment:
    """Read and check `config/<name>.yaml`.

    Raises
    ------
    ParameterError
        If the file is missing, is not YAML, breaks the schema or contradicts itself; the
        message names the key, the value and what is allowed.
    """
    if name and not EXPERIMENT_NAME.fullmatch(name):
        raise ParameterError(
            f"{name!r} is no name of an experiment; name a file in config/ without its suffix, "
            "of letters, digits, _ and - only."
        )
    path = config_path(name)
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        raise ParameterError(f"{path} has more than {MOST_BYTES:,} bytes; shorten it.")
    values = read_yaml(path)
    check(values, path)
    experiment = from_values(name, values)
    check_folder_names(experiment, path)
    cross_check(experiment, path)
    return experiment


def from_values(name: str, values: Mapping[str, Any]) -> Experiment:
    """Return the experiment whose parameter file holds `values`, which the schema allows."""
    sections = {
        field.name: _section(field.type, values[field.name])
        for field in dataclasses.fields(Experiment)
        if field.name in values
    }
    return Experiment(name=name, **sections)


def check(values: Any, path: Path) -> None:
    """Check the contents of a parameter file against the schema.

    Raises
    ------
    ParameterError
        With the first key that is wrong.
    """
    validator = VALIDATOR(read_yaml(SCHEMA))
    errors = sorted(validator.iter_errors(values), key=lambda error: list(map(str, error.path)))
    if errors:
        error = jsonschema.exceptions.best_match(errors)
        key = ".".join(map(str, error.absolute_path)) or "the file"
        hint = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
        allowed = f" ({hint})" if hint else ""
        message = error.message
        if len(message) > LONGEST_MESSAGE:
            message = f"{message[:LONGEST_MESSAGE]}…"
        raise ParameterError(f"{path}: {key}: {message}{allowed}.")


def cross_check(experiment: Experiment, path: Path) -> None:
    """Check what the schema can't: that names which one section takes from another exist.

    Raises
    ------
    ParameterError
        With the first name that is not there, or if no crop would be left to train.
    """
    prepare, report = experiment.prepare, experiment.report
    datasets = {"prepare.training_set": prepare.training_set} | {
        f"prepare.test_sets.{name}.dataset": test_set.dataset
        for name, test_set in prepare.test_sets.items()
    }
    datasets |= _trained_on(experiment.readout)
    sets = {"report.salient_set": report.salient_set, "report.texture_set": report.texture_set}
    for names, source, known in (
        (datasets, "download.datasets", experiment.download.datasets),
        (sets, "prepare.test_sets", tuple(prepare.test_sets)),
    ):
        for key, name in names.items():
            if name not in known:
                raise ParameterError(
                    f"{path}: {key}: {name!r} is not one of {source}: {', '.join(known)}."
                )
    compressed = experiment.compress.match_qualities
    for section, qualities in (
        ("judges", experiment.judges.match_qualities),
        ("gaze", experiment.gaze.match_qualities),
        ("anova", experiment.anova.match_qualities),
    ):
        for quality in qualities:
            if quality not in compressed:
                raise ParameterError(
                    f"{path}: {section}.match_qualities: {quality} is not one of "
                    f"compress.match_qualities: {', '.join(map(str, compressed))}."
                )
    check_maps(experiment, path)
    check_backbone(experiment, path)
    if prepare.layout == "crops" and not prepare.classes:
        raise ParameterError(f"{path}: prepare.classes: with layout crops at least one is needed.")
    if prepare.layout == "crops" and prepare.crops_per_class <= prepare.validate_last:
        raise ParameterError(
            f"{path}: prepare.crops_per_class: {prepare.crops_per_class} leaves none to train, "
            f"as the last {prepare.validate_last} validate (prepare.validate_last)."
        )


def check_maps(experiment: Experiment, path: Path) -> None:
    """Raise `ParameterError` if a wanted map is none of `heatmap.maps`."""
    heatmap, compress = experiment.heatmap, experiment.compress
    followed = {f"compress.follows.{method}": name for method, name in compress.follows.items()}
    asked = {"main_map": experiment.main_map, "heatmap.passes_map": heatmap.passes_map} | followed
    for key, name in asked.items():
        if name not in heatmap.maps:
            raise ParameterError(
                f"{path}: {key}: {name!r} is not one of heatmap.maps: {', '.join(heatmap.maps)}."
            )
    if isinstance(heatmap.maps[heatmap.passes_map], ReadoutMap):
        raise ParameterError(
            f"{path}: heatmap.passes_map: {heatmap.passes_map!r} is a readout, which has no "
            "dropout; name a map of the rule classes or features."
        )


def check_backbone(experiment: Experiment, path: Path) -> None:
    """Raise `ParameterError` if `train` or a map asks for what the backbone does not have."""
    train = experiment.train
    fits = BACKBONES[train.backbone]
    asked = [("train.trainable", train.trainable, fits.trainable)] + [
        (f"heatmap.maps.{name}.layers", layer, fits.layers)
        for name, rule in experiment.heatmap.maps.items()
        if isinstance(rule, FeatureMap)
        for layer in rule.layers
    ]
    for key, value, known in asked:
        if value not in known:
            raise ParameterError(
                f"{path}: {key}: {value!r} does not go with the backbone {train.backbone}; "
                f"expected one of {', '.join(known)}."
            )
    if train.filters < fits.filters:
        raise ParameterError(
            f"{path}: train.filters: {train.filters} does not go with the backbone "
            f"{train.backbone}; expected at least {fits.filters}."
        )


def _trained_on(readout: Readout) -> dict[str, str]:
    """Return the dataset that the readout learns from, by its parameter, or none if packaged."""
    return {"readout.dataset": readout.dataset} if readout.weights == "trained" else {}


def check_folder_names(experiment: Experiment, path: Path) -> None:
    """Raise `ParameterError` for a data or test set whose name can't be that of its folder."""
    named: dict[str, Iterable[str]] = {
        "download.datasets": experiment.download.datasets,
        "prepare.test_sets": experiment.prepare.test_sets,
    }
    for key, names in named.items():
        for name in names:
            if not FOLDER_NAME.fullmatch(name):
                raise ParameterError(
                    f"{path}: {key}: {name!r} becomes the name of a folder; write letters, digits, "
                    "_, - and . only, 100 at most, and no . in front."
                )


def _section(kind: Any, value: Any) -> Any:
    """Turn one checked section into its dataclass, with tuples for lists."""
    if not dataclasses.is_dataclass(kind):
        return value
    fields = {
        field.name: _section(field.type, _frozen(value[field.name]))
        for field in dataclasses.fields(kind)
    }
    if "test_sets" in fields:
        fields["test_sets"] = {k: _section(TestSet, v) for k, v in value["test_sets"].items()}
    if "maps" in fields:
        fields["maps"] = {k: _section(RULES[v["rule"]], v) for k, v in value["maps"].items()}
    return kind(**fields)  # type: ignore[operator]


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value
