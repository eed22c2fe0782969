"""What a case of a photograph is, the sentences about it, and how its file is put in place."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hostile import PROCESSED
from hostile.bytes_of import HEIGHT, ORANGE, WIDTH, saved, solid

SAVE = "save it anew as JPEG or PNG"
UNKNOWN = f"FILE can't be read as an image: its format is not known, or it is damaged; {SAVE}."
DAMAGED = f"FILE can't be read as an image: …; {SAVE}."
TOO_LARGE = "FILE has more than 56,000,000 pixels, the most that are read; scale it down."
BOMB = "FILE has … pixels in … bytes, as no photo of that size has; scale it down."
LOOP = "FILE can't be read: it is a link that leads back to itself; name the file itself."
NO_PLAIN = "FILE is no plain file; name an image file."
ABSENT = "FILE is not there; check its name."
SMALL = "FILE: The image has … pixels; SSIM and MS-SSIM need at least 11 a side."
CONTROL = "FILE has a control character or no UTF-8 in its name; rename it."
LONG_NAME = "FILE has too long a name for its results; shorten it."
LONG_STORED = (
    "FILE has too long a name: …, the name of its result, has more than 255 bytes; shorten it."
)
NO_SUFFIX = "FILE has no suffix of an image format, such as .jpg or .png."
WIDE = "FILE has 65501x1 pixels; a JPEG has at most 65500 a side."

BEYOND = "FILE holds floating-point samples beyond 0 to 1; save it anew with 8 or 16 bits a sample."
FRAMES = "all frames but the first"

WHITE, RED, BLACK = (255, 255, 255), (255, 0, 0), (0, 0, 0)
Put = Callable[[Path], object]


@dataclass(frozen=True)
class Photo:
    """One file and what becomes of it.

    `outcome` is that of every command but those for which another is given. What is processed
    has `size` (width, height) and shows `colour` in its first pixel. `dangerous` files are
    only run in a process of limited memory and time.
    """

    case: str
    file: str
    put: Put
    outcome: str = PROCESSED
    size: tuple[int, int] = (WIDTH, HEIGHT)
    colour: tuple[int, int, int] = ORANGE
    compress: str = ""
    heatmap: str = ""
    metrics: str = ""
    prepare: str = ""
    dangerous: bool = False
    left_out: str = ""

    def expected(self, command: str) -> str:
        """Return the outcome of one command."""
        return str(getattr(self, command) or self.outcome)


def holds(make: Callable[[], bytes]) -> Put:
    """Put a file of these bytes."""
    return lambda path: path.write_bytes(make())


def text(content: str) -> Put:
    return lambda path: path.write_text(content)


def sound(path: Path) -> None:
    """Put a sound photograph, for what is only odd in its name."""
    path.write_bytes(saved(solid(), "PNG"))
