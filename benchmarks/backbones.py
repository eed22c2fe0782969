"""How well the maps of trained networks find what people look at, backbone beside backbone.

`python -m benchmarks.backbones EXPERIMENT …` makes each experiment's maps of the rules `classes`
and `features` of the validation photographs of OSIE (data/splits/osie.csv), which have to lie
where stage download puts them, with the network that stage train has left, and prints a table:
area under the ROC curve (Judd's), mean and standard error over the photographs.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from statistics import fmean, stdev

from msroi.experiment import params
from msroi.experiment.layout import Layout
from msroi.images import enlarged, read_rgb
from msroi.markdown import markdown_table
from msroi.measures.saliency_quality import auc_judd
from msroi.network import vgg
from msroi.network.centre_prior import centre_prior
from msroi.network.saliency import TrainedNetwork
from msroi.sources.annotations import OSIE, read_fixations
from msroi.sources.splits import read_split

SPLIT = "validation"
HEADER = ("experiment", "backbone", "map", "AUC", "standard error", "n")


def rows(name: str) -> Iterator[list[str]]:
    """Yield a row of the table for each map of an experiment, and for the centre alone."""
    experiment, layout = params.load(name), Layout(name)
    pretrained = vgg.read_weights(layout.vgg16)
    network = TrainedNetwork(layout.model / "weights.safetensors", pretrained, experiment.heatmap)
    fixated, _ = read_fixations(layout.downloaded)
    stimuli = layout.downloaded / OSIE / "stimuli"
    found: dict[str, list[float]] = {}
    for file in sorted(read_split(OSIE, SPLIT)):
        image = read_rgb(stimuli / file)
        size = image.shape[0], image.shape[1]
        maps, _ = network.plain(network.given(image))
        for of, small in {**maps, "centre": centre_prior(*size)}.items():
            seen = fixated[file.partition(".")[0]].points
            found.setdefault(of, []).append(auc_judd(enlarged(small, *size), seen))
    for of, values in found.items():
        error = stdev(values) / len(values) ** 0.5
        backbone = "" if of == "centre" else experiment.train.backbone
        yield [name, backbone, of, f"{fmean(values):.3f}", f"{error:.3f}", f"{len(values)}"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backbones", description=__doc__)
    parser.add_argument("experiments", nargs="+", metavar="EXPERIMENT")
    given = parser.parse_args(arguments)
    table = markdown_table(HEADER, [row for name in given.experiments for row in rows(name)])
    sys.stdout.write(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
