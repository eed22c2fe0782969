"""What a measure is: its entry stands in the module of its function, and nowhere else.

The lists are `distortion.METRICS`, `perceptual.JUDGES`, `gaze.GAZE` and `conventions.CONVENTIONS`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

# what a measure was to our own encoders, `trellis` and `roi-trellis`, when their values were chosen
TUNED = "tuned to"
LOOKED_AT = "looked at"  # on tuning crops, when one point of a line was chosen
BLIND = "blind"
TUNED_BY_PSNR = "tuned to by trellis-psnr"  # and blind to the other two


@dataclass(frozen=True)
class Measure:
    """A number that says how a distorted image differs from its reference.

    Attributes
    ----------
    column
        Its name in tables of results.
    label
        As pages and plots name it.
    short
        As narrow tables name it.
    plane
        What it is taken of where that is said: `RGB`, `luma` or nothing.
    unit
        `dB` or nothing.
    digits
        Decimals of a value in the paper's tables.
    gain_digits
        Decimals of a value and of a difference on the page and in summaries.
    higher_is_better
        Whether the better of two images has the higher value.
    role
        What it was to our own encoders: `TUNED`, `LOOKED_AT`, `BLIND` or `TUNED_BY_PSNR`.
    needs_map
        Whether it can't be taken without a saliency map.
    function
        Returns the value. Its list says of what.
    """

    column: str
    label: str
    short: str
    plane: str
    unit: str
    digits: int
    gain_digits: int
    higher_is_better: bool
    role: str
    needs_map: bool
    function: Callable[..., float]

    @property
    def title(self) -> str:
        """Label and unit, for the head of a column: `PSNR (dB)`."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def axis(self) -> str:
        """Label, plane and unit, for an axis: `PSNR RGB, dB`."""
        said = f"{self.label} {self.plane}".rstrip()
        return f"{said}, {self.unit}" if self.unit else said


def by_column(measures: Iterable[Measure]) -> dict[str, Measure]:
    """Return a list of measures by the names of their columns."""
    return {measure.column: measure for measure in measures}
