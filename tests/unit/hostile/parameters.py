"""Parameter files: the demo's with something wrong in it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hostile import PROCESSED

DEMO = (Path(__file__).parents[3] / "config/demo.yaml").read_text(encoding="utf-8")
YAML = (
    "FILE, line …: … is not the same in YAML 1.1 and 1.2; write numbers as decimals of at most "
    "30 digits, true or false, and text in quotes."
)
FOLDER = (
    "FILE: prepare.test_sets: … becomes the name of a folder; write letters, digits, _, - and . "
    "only, 100 at most, and no . in front."
)
NO_YAML = "FILE is not YAML: …."


@dataclass(frozen=True)
class Parameters:
    """One parameter file and the sentence with which it is refused."""

    case: str
    make: Callable[[], str | bytes]
    outcome: str


def changed(case: str, old: str, new: str, outcome: str) -> Parameters:
    """Change one place of the demo's file."""
    assert DEMO.count(old) >= 1, old
    return Parameters(case, lambda: DEMO.replace(old, new), outcome)


def seed(case: str, value: str, outcome: str) -> Parameters:
    return changed(case, "seed: 20180927", f"seed: {value}", outcome)


def laughs() -> str:
    """Return ten values, each ten times the one before."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(lines)


def renamed_set(name: str) -> str:
    return DEMO.replace("    salient:", f"    {name}:").replace(
        "salient_set: salient", f"salient_set: {name}"
    )


PARAMETERS = (
    Parameters("the demo's file", lambda: DEMO, PROCESSED),
    Parameters("the demo's file after a byte-order mark", lambda: f"\ufeff{DEMO}", PROCESSED),
    seed("text for a number", "many", "FILE: seed: 'many' is not of type 'integer' (…)."),
    seed("nothing for a number", "", "FILE: seed: None is not of type 'integer' (…)."),
    seed("true for a number", "true", "FILE: seed: True is not of type 'integer' (…)."),
    seed("a fraction for a whole number", "8.0", "FILE: seed: 8.0 is not of type 'integer' (…)."),
    seed("a list for a number", "[1]", "FILE: seed: [1] is not of type 'integer' (…)."),
    changed(
        "a number for a list",
        "datasets: [skimage-photos]",
        "datasets: 3",
        "FILE: download.datasets: 3 is not of type 'array' (…).",
    ),
    changed(
        "not a number",
        "rotation_deg: 30",
        "rotation_deg: .nan",
        "FILE: augment.rotation_deg: nan is not of type 'number' (…).",
    ),
    changed(
        "an infinite number",
        "learning_rate: 1.0e-4",
        "learning_rate: .inf",
        "FILE: train.learning_rate: inf is not of type 'number' (…).",
    ),
    changed(
        "an unknown key",
        "epochs: 8",
        "epochs: 8\n  epoch: 9",
        "FILE: train: Additional properties are not allowed ('epoch' was unexpected).",
    ),
    Parameters(
        "a key that is a number",
        lambda: f"{DEMO}7: 8\n",
        "FILE: the file: Additional properties are not allowed (7 was unexpected).",
    ),
    changed(
        "a test set with a number for its name",
        "    salient:",
        "    7:",
        "FILE: prepare.test_sets: 7 is not of type 'string'.",
    ),
    changed(
        "a missing key", "  flips: true\n", "", "FILE: augment: 'flips' is a required property."
    ),
    changed(
        "a value below its range",
        "epochs: 8",
        "epochs: 0",
        "FILE: train.epochs: 0 is less than the minimum of 1 (…).",
    ),
    changed(
        "a value above its range",
        "quality_high: 70",
        "quality_high: 101",
        "FILE: compress.quality_high: 101 is greater than the maximum of 100 (…).",
    ),
    changed(
        "a size that would fill the memory",
        "input_px: 224",
        "input_px: 3200000",
        "FILE: prepare.input_px: 3200000 is greater than the maximum of 4096 (…).",
    ),
    seed(
        "a seed of 30 digits",
        "9" * 30,
        "FILE: seed: … is greater than the maximum of 4294967295 (…).",
    ),
    seed("YAML 1.1: a number of 5000 digits", "9" * 5000, YAML),
    seed("YAML 1.1: octal", "017", YAML),
    seed("YAML 1.1: base 60", "1:30", YAML),
    seed("YAML 1.1: underscores", "1_000", YAML),
    seed("YAML 1.1: a date that is none", "2001-99-99", YAML),
    seed("YAML 1.1: a merge", "1\n<<: {seed: 3}", YAML),
    changed("YAML 1.1: yes", "flips: true", "flips: yes", YAML),
    changed("YAML 1.1: off", "flips: true", "flips: off", YAML),
    changed(
        "a number with an exponent, of the wrong sign",
        "1.0e-4",
        "-2e-05",
        "FILE: train.learning_rate: -2e-05 is less than or equal to the minimum of 0 (…).",
    ),
    Parameters(
        "a key that occurs twice",
        lambda: f"{DEMO}seed: 5\n",
        "FILE, line …: the key seed occurs twice; remove one.",
    ),
    Parameters(
        "aliases that stand for 10 billion values",
        laughs,
        "FILE, line …: an alias (*) stands for a value; write it out.",
    ),
    Parameters(
        "100000 lists in one another",
        lambda: "[" * 100_000,
        "FILE, line 1: values are nested more than 20 deep.",
    ),
    Parameters(
        "a file of 2 MB",
        lambda: "# comment\n" * 200_000,
        "FILE has more than 131,072 bytes; shorten it.",
    ),
    Parameters(
        "a list of 20000 words",
        lambda: f"[{'word, ' * 20_000}]",
        "FILE: the file: ['word', 'word', ….",
    ),
    seed("a tag that would run code", "!!python/object/apply:os.system ['touch evil']", NO_YAML),
    seed("a number by tag that is none", "!!int many", YAML),
    Parameters("two documents", lambda: f"{DEMO}---\nseed: 1\n", NO_YAML),
    Parameters("a key that is a list", lambda: "{[1]: 2}: 3", NO_YAML),
    Parameters("a list that does not end", lambda: "a: [1", NO_YAML),
    Parameters("a tab for indentation", lambda: "\tx: 1", NO_YAML),
    Parameters("no UTF-8", lambda: b"seed: \xff", NO_YAML),
    Parameters("a control character", lambda: "a: \x07", NO_YAML),
    Parameters("an empty file", lambda: "", "FILE: the file: None is not of type 'object'."),
    Parameters("a test set named ../../evil", lambda: renamed_set("../../evil"), FOLDER),
    Parameters("a test set named /tmp/evil", lambda: renamed_set("/tmp/evil"), FOLDER),
    Parameters("a test set named ..", lambda: renamed_set(".."), FOLDER),
    Parameters("a test set of 300 letters", lambda: renamed_set("x" * 300), FOLDER),
    changed(
        "a photograph of a class outside the data set",
        "[astronaut.png]",
        "[../../../../../evil.png]",
        "prepare.classes.astronaut: ../../../../../evil.png is not among the files of "
        "skimage-photos in data/x/download/images/skimage-photos.",
    ),
    changed(
        "a photograph of a class by an absolute path",
        "[astronaut.png]",
        "[/tmp/evil.png]",
        "prepare.classes.astronaut: /tmp/evil.png is not among the files of skimage-photos in "
        "data/x/download/images/skimage-photos.",
    ),
)
