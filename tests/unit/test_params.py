import copy
import dataclasses
import types
import typing
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML

from msroi.errors import ParameterError
from msroi.experiment import params
from msroi.experiment.params import Experiment

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "config").glob("*.yaml"))
DEMO = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text(encoding="utf-8"))
SCHEMA = yaml.safe_load((ROOT / params.SCHEMA).read_text(encoding="utf-8"))

by_config = pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)


@pytest.fixture
def refusal(tmp_path, monkeypatch):
    """Give the sentence with which a parameter file with one change is refused."""
    monkeypatch.chdir(tmp_path)
    target = tmp_path / params.SCHEMA
    target.parent.mkdir(parents=True)
    target.symlink_to(ROOT / params.SCHEMA)
    (tmp_path / "config").mkdir()

    def refused(text):
        text = text if isinstance(text, str | bytes) else yaml.safe_dump(text)
        data = text.encode() if isinstance(text, str) else text
        (tmp_path / "config" / "x.yaml").write_bytes(data)
        with pytest.raises(ParameterError) as caught:
            params.load("x")
        return str(caught.value)

    return refused


def demo(**changes):
    """The demo's parameters with some changed: `section__key=value`."""
    values = copy.deepcopy(DEMO)
    for name, value in changes.items():
        *sections, key = name.split("__")
        place = values
        for section in sections:
            place = place[section]
        place[key] = value
    return values


def without(section, key=None):
    values = copy.deepcopy(DEMO)
    del (values[section] if key else values)[key or section]
    return values


# --- the parameter files


@by_config
def test_every_parameter_file_loads(monkeypatch, config):
    monkeypatch.chdir(ROOT)
    experiment = params.load(config.stem)
    assert experiment.name == config.stem
    values = yaml.safe_load(config.read_text(encoding="utf-8"))
    assert plain(experiment) == values | {"name": config.stem}
    assert isinstance(experiment.compress.match_qualities, tuple)


def plain(value):
    """Return a dataclass as the parameter file writes it."""
    if dataclasses.is_dataclass(value):
        kinds = {kind: name for name, kind in params.RULES.items()}
        rule = {"rule": kinds[type(value)]} if type(value) in kinds else {}
        return rule | {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


@by_config
def test_pyyaml_and_ruamel_read_every_parameter_file_alike(config):
    """PyYAML (YAML 1.1) reads for the stages, ruamel.yaml (YAML 1.2) for DVC."""
    text = config.read_text(encoding="utf-8")
    old, new = yaml.safe_load(text), YAML(typ="safe").load(text)
    assert typed(old) == typed(new), f"{config.name}: YAML 1.1 and 1.2 read different values"


def typed(value):
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value).__name__, value


@by_config
def test_every_parameter_file_opens_with_its_cost(config):
    comment = [li for li in config.read_text().splitlines() if li.startswith("#")]
    assert comment[0].startswith(f"# {config.stem}")
    for word in ("data", "time", "memory", "results"):
        assert any(line.split()[1:2] == [word] for line in comment), f"{config.name}: no {word}"


def test_parameters_can_not_be_changed(monkeypatch):
    monkeypatch.chdir(ROOT)
    experiment = params.load("demo")
    with pytest.raises(dataclasses.FrozenInstanceError):
        experiment.seed = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        experiment.train.epochs = 1


# --- schema and dataclasses

JSON_TYPES = {int: "integer", float: "number", bool: "boolean", str: "string"}
SECTIONS = {f.name: f.type for f in dataclasses.fields(Experiment) if f.name != "name"}


def described(kind):
    """What the schema must say of a dataclass's field."""
    if typing.get_origin(kind) is tuple:
        return "array"
    if typing.get_origin(kind) is dict or dataclasses.is_dataclass(kind):
        return "object"
    return JSON_TYPES[kind]


def stated(schema):
    return schema.get("type") or (
        "string" if all(isinstance(e, str) for e in schema["enum"]) else "?"
    )


def disagreement(section, kind, schema):
    fields = {f.name: described(f.type) for f in dataclasses.fields(kind)}
    properties = {name: stated(value) for name, value in schema["properties"].items()}
    lines = [
        f"{section}.{name}: params.py says {fields.get(name, 'nothing')}, "
        f"the schema says {properties.get(name, 'nothing')}"
        for name in sorted(fields.keys() | properties.keys())
        if fields.get(name) != properties.get(name)
    ]
    return "\n".join([*lines, f"Mend {params.SCHEMA} or class {kind.__name__}."]) if lines else ""


@pytest.mark.parametrize("section", [name for name in SECTIONS if name not in ("seed", "main_map")])
def test_schema_and_dataclass_agree(section):
    kind, schema = SECTIONS[section], SCHEMA["properties"][section]
    assert not (text := disagreement(section, kind, schema)), text
    fields = [f.name for f in dataclasses.fields(kind)]
    assert schema["required"] == fields, f"{section}: list exactly the fields as required"
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("section", "parameters"), [("trellis", params.Trellis), ("trellis_psnr", params.TrellisPsnr)]
)
def test_schema_and_trellis_agree(section, parameters):
    schema = SCHEMA["properties"]["compress"]["properties"][section]
    assert not (text := disagreement(section, parameters, schema)), text
    assert schema["required"] == [f.name for f in dataclasses.fields(parameters)]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(("rule", "kind"), params.RULES.items())
def test_schema_and_rules_of_maps_agree(rule, kind):
    of_map = SCHEMA["properties"]["heatmap"]["properties"]["maps"]["additionalProperties"]
    assert of_map["properties"]["rule"]["enum"] == list(params.RULES)
    (schema,) = (
        branch["then"]
        for branch in of_map["allOf"]
        if branch["if"]["properties"]["rule"]["const"] == rule
    )
    fields = [f.name for f in dataclasses.fields(kind)]
    assert schema["required"] == list(schema["properties"]) == ["rule", *fields]
    assert schema["additionalProperties"] is False


def test_schema_and_test_sets_agree():
    schema = SCHEMA["properties"]["prepare"]["properties"]["test_sets"]["additionalProperties"]
    assert not (text := disagreement("test_sets", params.TestSet, schema)), text


def test_sections_agree():
    assert list(SCHEMA["properties"]) == list(SECTIONS)
    assert SCHEMA["required"] == list(SECTIONS)
    assert SCHEMA["additionalProperties"] is False
    assert stated(SCHEMA["properties"]["seed"]) == JSON_TYPES[SECTIONS["seed"]]


def test_a_disagreement_is_shown_with_its_cure():
    kind = dataclasses.make_dataclass("Anova", [("alpha", int), ("beta", float)])
    text = disagreement("anova", kind, SCHEMA["properties"]["anova"])
    assert text.splitlines() == [
        "anova.alpha: params.py says integer, the schema says number",
        "anova.beta: params.py says number, the schema says nothing",
        "anova.match_qualities: params.py says nothing, the schema says array",
        "anova.metrics: params.py says nothing, the schema says array",
        "Mend workflow/schemas/experiment.schema.yaml or class Anova.",
    ]


def test_nothing_has_a_default():
    kinds = [
        Experiment,
        params.TestSet,
        params.Trellis,
        *params.RULES.values(),
        *(k for k in SECTIONS.values() if k not in (int, str)),
    ]
    for kind in kinds:
        for field in dataclasses.fields(kind):
            assert field.default is dataclasses.MISSING
            assert field.default_factory is dataclasses.MISSING
    assert "default" not in (ROOT / params.SCHEMA).read_text().split("properties:", 1)[1]


def test_every_parameter_is_described():
    for section, schema in SCHEMA["properties"].items():
        for name, entry in schema.get("properties", {section: schema}).items():
            assert entry.get("description"), f"{section}.{name} has no description"
    for section in ("trellis", "trellis_psnr"):
        schema = SCHEMA["properties"]["compress"]["properties"][section]
        for name, entry in schema["properties"].items():
            assert entry.get("description"), f"compress.{section}.{name} has no description"


# --- what is refused, each in one sentence

SENTENCES = {
    "unknown key": (
        demo(train__epoch=3),
        "config/x.yaml: train: Additional properties are not allowed ('epoch' was unexpected).",
    ),
    "unknown section": (
        demo(training={}),
        "config/x.yaml: the file: Additional properties are not allowed "
        "('training' was unexpected).",
    ),
    "missing section": (
        without("heatmap"),
        "config/x.yaml: the file: 'heatmap' is a required property.",
    ),
    "missing key": (
        without("train", "filters"),
        "config/x.yaml: train: 'filters' is a required property.",
    ),
    "wrong type": (
        demo(train__epochs="many"),
        "config/x.yaml: train.epochs: 'many' is not of type 'integer' "
        "(passes over the training images (paper 100)).",
    ),
    "below the range": (
        demo(train__epochs=0),
        "config/x.yaml: train.epochs: 0 is less than the minimum of 1 "
        "(passes over the training images (paper 100)).",
    ),
    "above the range": (
        demo(compress__quality_high=101),
        "config/x.yaml: compress.quality_high: 101 is greater than the maximum of 100 "
        "(JPEG quality of the most salient level (paper 70)).",
    ),
    "inside a list": (
        demo(compress__match_qualities=[30, 0]),
        "config/x.yaml: compress.match_qualities.1: 0 is less than the minimum of 1.",
    ),
    "not one of": (
        demo(heatmap__maps__paper__weighting="mean"),
        "config/x.yaml: heatmap.maps.paper.weighting: 'mean' is not one of ['decay', 'softmax'] "
        "(decay (halving with the rank) or softmax (class probabilities)).",
    ),
    "not a multiple": (
        demo(prepare__input_px=100),
        "config/x.yaml: prepare.input_px: 100 is not a multiple of 32 "
        "(side of the network's square input, a multiple of 32 (paper 224)).",
    ),
    "a float for a whole number": (
        demo(train__epochs=8.0),
        "config/x.yaml: train.epochs: 8.0 is not of type 'integer' "
        "(passes over the training images (paper 100)).",
    ),
    "a truth value for a number": (
        demo(seed=True),
        "config/x.yaml: seed: True is not of type 'integer' "
        "(a whole number from which every random draw of the experiment follows).",
    ),
    "no number": (
        demo(heatmap__dropout=float("nan")),
        "config/x.yaml: heatmap.dropout: nan is not of type 'number' "
        "(share of activations dropped at inference; 0 is deterministic).",
    ),
    "a list without what it must have": (
        demo(compress__methods=["trellis", "mozjpeg"]),
        "config/x.yaml: compress.methods: ['trellis', 'mozjpeg'] does not contain items matching "
        "the given schema (what is compared; jpeg, of whose files the sizes are matched, must be "
        "among them).",
    ),
    "an unknown method": (
        demo(compress__methods=["jpeg", "webp"]),
        "config/x.yaml: compress.methods.1: 'webp' is not one of ['jpeg', 'jpeg-opt', 'msroi', "
        "'trellis-psnr', 'trellis', 'roi-trellis', 'mozjpeg', 'jpegli'].",
    ),
    "inside the encoder's parameters": (
        demo(compress__trellis__saliency_share=1.5),
        "config/x.yaml: compress.trellis.saliency_share: 1.5 is greater than the maximum of 1 "
        "(share of the saliency map in what an error counts for roi-trellis).",
    ),
    "no size of chroma planes": (
        demo(compress__trellis__chroma="4:2:2"),
        "config/x.yaml: compress.trellis.chroma: '4:2:2' is not one of ['half', 'full', "
        "'auto'] (sides of the chroma planes, half (4:2:0), full (4:4:4), or as the picture "
        "needs (auto)).",
    ),
    "inside a test set": (
        demo(prepare__test_sets__salient__draw=-1),
        "config/x.yaml: prepare.test_sets.salient.draw: -1 is less than the minimum of 0 "
        "(how many are drawn at random with the experiment's seed; 0 takes all).",
    ),
    "training set not downloaded": (
        demo(prepare__training_set="caltech-101"),
        "config/x.yaml: prepare.training_set: 'caltech-101' is not one of download.datasets: "
        "skimage-photos.",
    ),
    "test set not downloaded": (
        demo(prepare__test_sets__salient__dataset="salicon"),
        "config/x.yaml: prepare.test_sets.salient.dataset: 'salicon' is not one of "
        "download.datasets: skimage-photos.",
    ),
    "what the readout learns from not downloaded": (
        demo(readout__weights="trained"),
        "config/x.yaml: readout.dataset: 'osie' is not one of download.datasets: skimage-photos.",
    ),
    "no split": (
        demo(prepare__test_sets__salient__split="val"),
        "config/x.yaml: prepare.test_sets.salient.split: 'val' is not one of ['', 'train', "
        "'validation', 'test'] (only the photographs that data/splits/<dataset>.csv has in this "
        "split; empty takes all).",
    ),
    "unknown test set in the report": (
        demo(report__texture_set="general-100"),
        "config/x.yaml: report.texture_set: 'general-100' is not one of prepare.test_sets: "
        "salient, texture.",
    ),
    "a rule that is none": (
        demo(heatmap__maps__paper={"rule": "eyes"}),
        "config/x.yaml: heatmap.maps.paper.rule: 'eyes' is not one of ['classes', 'features', "
        "'readout'].",
    ),
    "a key of another rule": (
        demo(heatmap__maps__readout={"rule": "readout", "blur": 0, "power": 1, "centre": 1}),
        "config/x.yaml: heatmap.maps.readout: Additional properties are not allowed ('centre' "
        "was unexpected).",
    ),
    "a map by the name of one that stage gaze adds": (
        demo(heatmap__maps={"human": {"rule": "readout", "blur": 0, "power": 1}}),
        "config/x.yaml: heatmap.maps: 'human' should not be valid under {'enum': ['human', "
        "'centre', 'uniform', 'hard']}.",
    ),
    "no such main map": (
        demo(main_map="eyes"),
        "config/x.yaml: main_map: 'eyes' is not one of heatmap.maps: paper, readout.",
    ),
    "no such map to follow": (
        demo(compress__follows={"msroi": "eyes", "roi-trellis": "readout"}),
        "config/x.yaml: compress.follows.msroi: 'eyes' is not one of heatmap.maps: paper, readout.",
    ),
    "passes of a map without dropout": (
        demo(heatmap__passes_map="readout"),
        "config/x.yaml: heatmap.passes_map: 'readout' is a readout, which has no dropout; name a "
        "map of the rule classes or features.",
    ),
    "no classes": (
        demo(prepare__classes={}),
        "config/x.yaml: prepare.classes: with layout crops at least one is needed.",
    ),
    "no crop left to train": (
        demo(prepare__crops_per_class=6),
        "config/x.yaml: prepare.crops_per_class: 6 leaves none to train, as the last 6 validate "
        "(prepare.validate_last).",
    ),
    "not a mapping": (
        [1, 2],
        "config/x.yaml: the file: [1, 2] is not of type 'object'.",
    ),
    "an empty file": ("", "config/x.yaml: the file: None is not of type 'object'."),
}


@pytest.mark.parametrize(("values", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_a_mistake_is_one_sentence_with_file_key_value_and_range(refusal, values, sentence):
    assert refusal(values) == sentence


@pytest.mark.parametrize("written", ["2e-05", "1e-4", "1E-4", "2.5e-05", "1.e-4", "+3e-4"])
def test_numbers_as_dvc_and_ruamel_write_them(refusal, tmp_path, written):
    """`2e-05`, as `dvc exp run -S` writes 0.00002, is text in YAML 1.1 and a number in 1.2."""
    text = (ROOT / "config" / "demo.yaml").read_text().replace("1.0e-4", written)
    (tmp_path / "config" / "x.yaml").write_text(text)
    found = params.load("x").train.learning_rate
    assert found == YAML(typ="safe").load(text)["train"]["learning_rate"] == float(written)


def test_what_stands_in_quotes_stays_text(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: '2e-05'\nb: 2e-05\nc: 2e-x\nd: 1.0e-4\n")
    assert params.read_yaml(path) == {"a": "2e-05", "b": 2e-05, "c": "2e-x", "d": 1e-4}


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\tx: 1", b"seed: \xff", "a: \x07"])
def test_what_is_no_yaml(refusal, text):
    sentence = refusal(text)
    assert sentence.startswith("config/x.yaml is not YAML: ")
    assert "\n" not in sentence


def test_a_missing_file_lists_what_is_there(refusal):
    refusal("")
    with pytest.raises(ParameterError) as caught:
        params.load("papper")
    assert str(caught.value) == "There is no config/papper.yaml; config/ has: x."


def test_no_config_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError) as caught:
        params.load("demo")
    assert str(caught.value) == "There is no config/demo.yaml; config/ has: none."


def test_whole_numbers_are_taken_for_fractions(refusal, tmp_path):
    text = yaml.safe_dump(demo(augment__rotation_deg=0, compress__size_tolerance_pct=1))
    (tmp_path / "config" / "x.yaml").write_text(text)
    assert params.load("x").augment.rotation_deg == 0


def test_annotations_are_types_not_text():
    """`load` builds each section from its annotation."""
    assert all(
        isinstance(f.type, type | types.GenericAlias) for f in dataclasses.fields(Experiment)
    )
