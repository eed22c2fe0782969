"""SSIM beside scikit-image's, and MS-SSIM beside pytorch-msssim's, of equal value."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import metadata
from typing import TypeVar

from benchmarks.comparison import Comparison, Work, seconds, side_by_side, speed_ratios
from benchmarks.setting import PHOTOS, on_one_core, photographs
from benchmarks.torch_vgg import needed
from msroi.encoders import jpeg
from msroi.images import PEAK, Pixels
from msroi.measures import distortion
from msroi.measures.distortion import Plane

QUALITY = 50
TOLERANCE = 1e-6
TIMES_SCIKIT_IMAGE = 3.0
TIMES_PYTORCH = 1.0

T = TypeVar("T")


def measure(repeats: int) -> list[Comparison]:
    """Time both measures on a photograph and its JPEG.

    SSIM from the luma planes, as scikit-image knows no such luma; MS-SSIM from the pixels.
    """
    on_one_core()
    image = photographs()[0]
    pair = image, jpeg.decode(jpeg.encode(image, QUALITY))
    height, width = image.shape[:2]
    row = partial(
        Comparison,
        unit="their time / our time",
        bound="at least",
    )
    what = f"of luma, {width}x{height} `{PHOTOS[0]}` and its JPEG {QUALITY}"
    planes = distortion.luma(pair[0]), distortion.luma(pair[1])
    ssim_s = timed(ssim, of_scikit_image, planes, repeats)
    ms_ssim_s = timed(distortion.ms_ssim_luma, of_pytorch, pair, repeats)
    rows = [
        row(
            job="ssim",
            ours=f"SSIM {what}",
            against=f"scikit-image {metadata.version('scikit-image')}, one core each",
            ratios=speed_ratios(*ssim_s),
            target=TIMES_SCIKIT_IMAGE,
            seconds=dict(zip(("ours", "scikit-image"), ssim_s, strict=True)),
        ),
        row(
            job="ms_ssim",
            ours=f"MS-SSIM {what}",
            against=f"pytorch-msssim {metadata.version('pytorch-msssim')}, float32, "
            f"PyTorch {metadata.version('torch')}, one core each",
            ratios=speed_ratios(*ms_ssim_s),
            target=TIMES_PYTORCH,
            seconds=dict(zip(("ours", "pytorch-msssim"), ms_ssim_s, strict=True)),
        ),
    ]
    return [row if row.reached else replace(row, limit=limit(row, pair)) for row in rows]


def timed(
    ours: Callable[[T, T], float], theirs: Callable[[T, T], float], pair: tuple[T, T], repeats: int
) -> tuple[list[float], list[float]]:
    """Time two measures that agree."""
    agree(ours(*pair), theirs(*pair))
    return side_by_side(partial(ours, *pair), partial(theirs, *pair), repeats)


def agree(ours: float, theirs: float) -> None:
    """Make sure that two measures mean the same.

    Raises
    ------
    ValueError
        If their values differ by more than `TOLERANCE`.
    """
    if not abs(ours - theirs) <= TOLERANCE:
        raise ValueError(f"the measures do not agree: {ours:.9f} and {theirs:.9f}")


def ssim(reference: Plane, distorted: Plane) -> float:
    """Return our SSIM of luma planes."""
    return distortion.ssim(reference, distorted, PEAK)


def of_scikit_image(reference: Plane, distorted: Plane) -> float:
    """Return scikit-image's SSIM of luma planes.

    With these options its window is ours, 11 px with sigma 1.5, and it takes the mean after
    it has cut 5 px from every edge: over the windows that lie inside the image, as we do.
    """
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            reference,
            distorted,
            gaussian_weights=True,
            sigma=distortion.WINDOW_SIGMA_PX,
            use_sample_covariance=False,
            data_range=PEAK,
        )
    )


def of_pytorch(reference: Pixels, distorted: Pixels) -> float:
    """Return pytorch-msssim's MS-SSIM of the luma planes, in its usual float32.

    It halves odd sides otherwise than Wang's code and ours, with a row of zeros: sides should
    be multiples of 16, which stay even on all five scales.

    Raises
    ------
    MissingError
        If it is not installed.
    """
    with needed("PyTorch and pytorch-msssim"):
        import pytorch_msssim  # type: ignore[import-not-found, unused-ignore]
        import torch  # type: ignore[import-not-found, unused-ignore]
    planes = (distortion.luma(image) for image in (reference, distorted))
    tensors = (torch.from_numpy(plane).to(torch.float32)[None, None] for plane in planes)
    with torch.inference_mode():
        return float(pytorch_msssim.ms_ssim(*tensors, data_range=PEAK))


def limit(row: Comparison, pair: tuple[Pixels, Pixels]) -> str:
    """Say how long the luma of both images and the windows of one scale take."""
    planes = [distortion.luma(image) for image in pair]
    parts: dict[str, Work] = {
        "luma": lambda: [distortion.luma(image) for image in pair],
        "the windows": lambda: distortion.ssim(planes[0], planes[1], PEAK),
    }
    took = ", ".join(f"{name} {1000 * seconds(work):.1f} ms" for name, work in parts.items())
    return f"of our {1000 * min(row.seconds['ours']):.1f} ms: {took}"
