"""The compression methods: one list, from which everything else takes names, colours and encoders.

A new encoder is a class that keeps to `Encoder` and an entry of `METHODS`. This module imports
nothing heavy, so that the program's help answers at once. It imports an encoder's module only when
a caller asks for the encoder.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from msroi.experiment.params import Compress
    from msroi.images import Pixels, Saliency


class Encoder(Protocol):
    """A way to make a JPEG file of an image, of any quality from 1 to 100."""

    @property
    def name(self) -> str:
        """The method's name in results."""

    @property
    def version(self) -> str:
        """The names and versions of the libraries that fix the files' bytes."""

    def prepare(self, image: "Pixels", saliency: "Saliency | None") -> Callable[[float], bytes]:
        """Return what gives the image's file for a quality.

        Parameters
        ----------
        image
            `(H, W, 3) uint8` sRGB.
        saliency
            `(H, W) float32` in [0, 1], or None; encoders that know no saliency ignore it.

        Returns
        -------
        Callable
            Takes a real-valued quality in [1, 100]. Files grow with it, but for noise.
        """


class Line(NamedTuple):
    """How a plot draws a method.

    Attributes
    ----------
    place
        In the legend; lines of higher places are drawn above.
    style
        What matplotlib's `plot` takes.
    """

    place: int
    style: dict[str, Any]


# named tuples, as importing dataclasses would take a third of the time of `msroi --help`
class Method(NamedTuple):
    """A way to compress a photograph.

    Attributes
    ----------
    name
        As in parameters, results and on the command line.
    label
        As tables in the documentation name it, in Markdown.
    description
        One line for the program's help.
    colour
        On the report's page, `#rrggbb`.
    line
        In plots of curves; None for the baseline, from which gains are taken.
    needs_map
        Whether its files depend on the saliency map.
    in_gallery
        Whether `explain` shows its files, and summary.json its gain. The report's page shows the
        files of every method of the run.
    encoder
        Makes the encoder from an experiment's section `compress`.
    """

    name: str
    label: str
    description: str
    colour: str
    line: Line | None
    needs_map: bool
    in_gallery: bool
    encoder: Callable[["Compress"], Encoder]


def _peer(name: str) -> Callable[["Compress"], Encoder]:
    def made(_: "Compress") -> Encoder:
        from msroi.encoders.peers import PEERS

        return PEERS[name]

    return made


def _two_pass(params: "Compress") -> Encoder:
    from msroi.encoders.two_pass import MsRoi

    return MsRoi(params)


def _trellis_psnr(params: "Compress") -> Encoder:
    from msroi.encoders.trellis_psnr import SquaredErrorJpeg  # needs JAX, which takes a second

    return SquaredErrorJpeg(params.trellis_psnr)


def _trellis(params: "Compress") -> Encoder:
    from msroi.encoders.trellis_jpeg import TrellisJpeg

    return TrellisJpeg("trellis", params.trellis, saliency_share=0.0)


def _roi_trellis(params: "Compress") -> Encoder:
    from msroi.encoders.trellis_jpeg import TrellisJpeg

    return TrellisJpeg("roi-trellis", params.trellis, params.trellis.saliency_share)


# The colours are Okabe and Ito's, which any kind of colour vision tells apart; grey for plain
# JPEG. In plots the project's methods are solid.
METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            name="jpeg",
            label="plain JPEG",
            description="plain JPEG",
            colour="#8c8c8c",
            line=None,
            needs_map=False,
            in_gallery=True,
            encoder=_peer("jpeg"),
        ),
        Method(
            name="jpeg-opt",
            label="`jpeg-opt`",
            description="plain JPEG with optimised Huffman tables",
            colour="#56b4e9",
            line=Line(5, {"color": "#e69f00", "linestyle": (0, (1.5, 1.2))}),
            needs_map=False,
            in_gallery=False,
            encoder=_peer("jpeg-opt"),
        ),
        Method(
            name="msroi",
            label="`msroi`, the paper's two passes",
            description="the paper's two passes",
            colour="#d55e00",
            line=Line(6, {"color": "#d55e00", "linestyle": (0, (6, 1.5, 1.5, 1.5))}),
            needs_map=True,
            in_gallery=True,
            encoder=_two_pass,
        ),
        Method(
            name="trellis-psnr",
            label="`trellis-psnr`",
            description="our trellis quantisation for the squared error, without a map",
            colour="#999933",
            line=Line(7, {"color": "#999933", "linestyle": (0, (3, 1.5))}),
            needs_map=False,
            in_gallery=False,
            encoder=_trellis_psnr,
        ),
        Method(
            name="trellis",
            label="`trellis`",
            description="our own encoder for the eye, without a map",
            colour="#0072b2",
            line=Line(2, {"color": "#56b4e9", "linewidth": 2.2}),
            needs_map=False,
            in_gallery=False,
            encoder=_trellis,
        ),
        Method(
            name="roi-trellis",
            label="`roi-trellis`",
            description="our own encoder for the eye, guided by a saliency map",
            colour="#009e73",
            line=Line(1, {"color": "#0072b2", "linewidth": 2.2}),
            needs_map=True,
            in_gallery=True,
            encoder=_roi_trellis,
        ),
        Method(
            name="mozjpeg",
            label="mozjpeg",
            description="mozjpeg",
            colour="#e69f00",
            line=Line(3, {"color": "#009e73", "linestyle": (0, (5, 1.5))}),
            needs_map=False,
            in_gallery=False,
            encoder=_peer("mozjpeg"),
        ),
        Method(
            name="jpegli",
            label="jpegli",
            description="jpegli",
            colour="#cc79a7",
            line=Line(4, {"color": "#cc79a7", "linestyle": (0, (5, 1.5))}),
            needs_map=False,
            in_gallery=False,
            encoder=_peer("jpegli"),
        ),
    )
}
DEFAULT = "roi-trellis"  # what `msroi compress` takes unless told otherwise


def encoder(method: str, params: "Compress") -> Encoder:
    """Return the encoder of one of `METHODS`."""
    return METHODS[method].encoder(params)


def in_gallery() -> tuple[str, ...]:
    """Return the methods whose files `explain` shows and whose gains summary.json has."""
    return tuple(method.name for method in METHODS.values() if method.in_gallery)


def lines() -> dict[str, dict[str, Any]]:
    """Return the styles of the methods that plots draw, in the order of their legend."""
    drawn = {one.name: one.line for one in METHODS.values() if one.line is not None}
    return {name: drawn[name].style for name in sorted(drawn, key=lambda name: drawn[name].place)}
