"""Content-aware JPEG compression with convolutional neural networks, reproduced and audited.

>>> from msroi import Model, compress
>>> model = Model()  # doctest: +SKIP
>>> jpeg = compress("photo.jpg", model)  # doctest: +SKIP
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from msroi.api import compress as compress
    from msroi.model import Model as Model

__version__ = "0.1.0"
__all__ = ["Model", "compress"]


class _Package(ModuleType):
    """The package, which loads what is imported from itself when it is first used.

    Properties, as a module's `__getattr__` would not do: the stage `compress` is a module of
    that name, and importing it would put it in the place of the function.
    """

    @property
    def Model(self) -> object:  # noqa: N802
        from msroi.model import Model

        return Model

    @property
    def compress(self) -> object:
        from msroi.api import compress

        return compress

    @compress.setter
    def compress(self, stage: ModuleType) -> None:
        """Leave the function in its place; `importlib.import_module` has the stage."""


sys.modules[__name__].__class__ = _Package
