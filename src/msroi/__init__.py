"""Content-aware JPEG compression with convolutional neural networks, reproduced and audited.

>>> from msroi import Model, compress
>>> model = Model()  # doctest: +SKIP
>>> jpeg = compress("photo.jpg", model)  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from msroi.audit.folder import audit_paper as audit_paper
    from msroi.photos.api import compress as compress
    from msroi.photos.model import Model as Model

__version__ = "0.1.0"
__all__ = ["Model", "audit_paper", "compress"]


def __getattr__(name: str) -> object:
    """Load a name of the package at its first use (PEP 562)."""
    modules = {
        "audit_paper": "msroi.audit.folder",
        "compress": "msroi.photos.api",
        "Model": "msroi.photos.model",
    }
    if name not in modules:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(modules[name]), name)
