"""Content-aware JPEG compression with convolutional neural networks, reproduced and audited."""

__version__ = "0.1.0"
