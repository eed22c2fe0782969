"""Where an experiment's files lie, relative to the project folder.

The same paths stand in dvc.yaml, as deps and outs. A test holds the two together.
"""

from dataclasses import dataclass
from pathlib import Path

CODE = Path("workflow/code")  # where the locks of the stages' code lie


@dataclass(frozen=True)
class Layout:
    """The files of one experiment.

    Data made from sources (large, kept by DVC) lie under `data/<experiment>`. Everything that the
    experiment finds out lies under `results/<experiment>`. Scratch that may vanish at any time lies
    under `.msroi/<experiment>`. Stages that work in chunks let each write its results into a folder
    of its own, `results_in`.
    """

    experiment: str
    results_in: Path = Path("results")

    @property
    def data(self) -> Path:
        """Sources and prepared images."""
        return Path("data") / self.experiment

    @property
    def results(self) -> Path:
        """Everything that the experiment finds out."""
        return self.results_in / self.experiment

    @property
    def scratch(self) -> Path:
        """Scratch that DVC and git never see."""
        return Path(".msroi") / self.experiment

    @property
    def agreed(self) -> Path:
        """The mark that Snakemake and DVC agree on this experiment."""
        return self.scratch / "agreed"

    # download
    @property
    def downloaded(self) -> Path:
        """Folder with one folder a dataset."""
        return self.data / "download" / "images"

    @property
    def vgg16(self) -> Path:
        """Pretrained VGG16 as safetensors."""
        return self.data / "download" / "vgg16.safetensors"

    @property
    def manifest(self) -> Path:
        """What stage `download` fetched, from where, with hashes."""
        return self.data / "download" / "manifest.csv"

    # prepare
    @property
    def index(self) -> Path:
        """One row an image: class, split, size, hash, source quality, number."""
        return self.data / "prepare" / "index.csv"

    @property
    def rejected(self) -> Path:
        """One row a file that is no usable image, with the reason."""
        return self.data / "prepare" / "rejected.csv"

    @property
    def packed(self) -> Path:
        """Folder of the images to learn from: (N, input_px, input_px, 3) uint8 RGB in all."""
        return self.data / "prepare" / "images"

    @property
    def test_images(self) -> Path:
        """Folder of test photographs at full size: `<set>/<image>.png`, RGB."""
        return self.data / "prepare" / "test"

    def test_image(self, dataset: str, image: str) -> Path:
        """Return the RGB PNG of one test photograph at full size."""
        return self.test_images / dataset / f"{image}.png"

    # augment
    @property
    def plan(self) -> Path:
        """One row a view and training image: rotation, scale, flips."""
        return self.results / "augment" / "plan.csv"

    @property
    def contact_sheet(self) -> Path:
        """Examples of augmented views."""
        return self.results / "augment" / "contact_sheet.png"

    # train
    @property
    def model(self) -> Path:
        """Folder of the trained layers, the training history and its summary."""
        return self.results / "model"

    # readout
    @property
    def readout(self) -> Path:
        """Folder of the readout's weights, its training history, quality and summary."""
        return self.results / "readout"

    # heatmap
    @property
    def heatmaps(self) -> Path:
        """Folder of saliency maps, overlays, predictions and their spread."""
        return self.results / "heatmaps"

    def saliency(self, name: str, dataset: str, image: str) -> Path:
        """Return one test photograph's map of this name in `heatmap.maps`, grey."""
        return self.heatmaps / "saliency" / name / dataset / f"{image}.png"

    def overlay(self, dataset: str, image: str) -> Path:
        """Return one test photograph under its main map, in Jet's colours."""
        return self.heatmaps / "overlay" / dataset / f"{image}.png"

    # compress
    @property
    def jpeg(self) -> Path:
        """Folder of the JPEG files and their index."""
        return self.results / "jpeg"

    def jpeg_file(self, dataset: str, method: str, match_quality: int, image: str) -> Path:
        """Return the JPEG file of one image, method and quality."""
        return self.jpeg / "images" / dataset / method / f"q{match_quality}" / f"{image}.jpg"

    # metrics
    @property
    def metrics(self) -> Path:
        """Folder of the table of all measurements and its summary."""
        return self.results / "metrics"

    # judges
    @property
    def judges(self) -> Path:
        """Folder of the perceptual measures of some photographs, their means and summary."""
        return self.results / "judges"

    # gaze
    @property
    def gaze(self) -> Path:
        """Folder of what methods and maps gain where people look, and its summary."""
        return self.results / "gaze"

    # rate_distortion
    @property
    def rate_distortion(self) -> Path:
        """Folder of the methods' curves, their BD-rates, plot and summary."""
        return self.results / "rate_distortion"

    # conventions
    @property
    def conventions(self) -> Path:
        """Folder of both conditions measured in every way that the paper may mean."""
        return self.results / "conventions"

    # anova
    @property
    def anova(self) -> Path:
        """Folder of the statistics and their summary."""
        return self.results / "anova"

    # audit
    @property
    def audit(self) -> Path:
        """Folder of the verdicts on published numbers, with their figures."""
        return self.results / "audit"

    # report
    @property
    def summary(self) -> Path:
        """The few numbers that say how the experiment went, for `dvc metrics`."""
        return self.results / "summary.json"

    @property
    def tables(self) -> Path:
        """Folder of Tables 1-4."""
        return self.results / "tables"

    @property
    def figures(self) -> Path:
        """Folder of Figures 1-6."""
        return self.results / "figures"

    @property
    def report(self) -> Path:
        """Folder of the text that puts tables and figures together."""
        return self.results / "report"
