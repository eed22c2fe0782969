"""Errors put into a copy of a paper, each of a kind of its own, for the audit to find."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from msroi.audit.published import Claim, Paper, Place, Printed, Sample

Numbers = dict[Place, str]


@dataclass(frozen=True)
class Seeded:
    """One kind of error: what it changes in the numbers, the claims or the samples."""

    kind: str
    numbers: Callable[[Numbers], Mapping[Place, str]] = lambda numbers: {}
    claims: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    samples: Mapping[str, Sample] = field(default_factory=dict)

    def changes(self, paper: Paper) -> dict[Place, str]:
        """Return the numbers that it changes."""
        return dict(self.numbers({place: str(text) for place, text in paper.numbers.items()}))

    def put_into(self, paper: Paper) -> Paper:
        """Return the paper with the error."""
        changed = {place: Printed(text) for place, text in self.changes(paper).items()}
        assert changed.keys() <= paper.numbers.keys()
        claims = [self._changed(claim) for claim in paper.claims]
        return replace(
            paper,
            numbers={**paper.numbers, **changed},
            claims=claims,
            samples={**paper.samples, **self.samples},
        )

    def _changed(self, claim: Claim) -> Claim:
        arguments = self.claims.get(claim.id, {})
        assert arguments.keys() <= claim.arguments.keys()
        return replace(claim, arguments={**claim.arguments, **arguments})


def image(table: int, name: str, method: str, measure: str) -> Place:
    dataset = {1: "salicon", 2: "general-100"}[table]
    return Place(str(table), dataset, name, "50", method, measure)


def mean(table: int, quality: int, method: str, measure: str) -> Place:
    dataset = {3: "salicon", 4: "general-100"}[table]
    return Place(str(table), dataset, "", str(quality), method, measure)


def to(place: Place, text: str) -> Callable[[Numbers], Mapping[Place, str]]:
    """Print another number at a place."""
    return lambda numbers: {place: text}


def exchange(one: Place, other: Place) -> Callable[[Numbers], Mapping[Place, str]]:
    """Exchange two numbers."""
    return lambda numbers: {one: numbers[other], other: numbers[one]}


def shifted(numbers: Numbers) -> Mapping[Place, str]:
    """Move the PSNRs of Table 1 down by a row."""
    column = [at for at in numbers if (at.table, at.measure) == ("1", "psnr_db")]
    return {at: numbers[column[i - 1]] for i, at in enumerate(column)}


def copied(numbers: Numbers) -> Mapping[Place, str]:
    """Copy the rows of one image of Table 2 to the next."""
    of = {at: text for at, text in numbers.items() if (at.table, at.image) == ("2", "leaves")}
    return {at.other(image="pebbles"): text for at, text in of.items()}


def roots(numbers: Numbers) -> Mapping[Place, str]:
    """Print the root of a mean squared error in its place."""
    at = image(1, "truck", "jpeg", "mse")
    return {at: f"{math.sqrt(float(numbers[at])):.3f}"}


KINDS = (
    Seeded("two digits of an MSE exchanged", to(image(1, "bird", "jpeg", "mse"), "35.314")),
    Seeded("two digits of a PSNR exchanged", to(image(1, "bird", "msroi", "psnr_db"), "33.288")),
    Seeded("last digit of a PSNR wrong", to(image(2, "corals", "jpeg", "psnr_db"), "31.249")),
    Seeded("decimal point of an MSE shifted", to(image(1, "truck", "jpeg", "mse"), "11.450")),
    Seeded("root of the MSE in place of the MSE", roots),
    Seeded("column of PSNRs shifted by a row", shifted),
    Seeded(
        "PSNRs of the two methods exchanged",
        exchange(image(1, "elephant", "jpeg", "psnr_db"), image(1, "elephant", "msroi", "psnr_db")),
    ),
    Seeded(
        "SSIM and MS-SSIM exchanged",
        exchange(image(2, "pebbles", "jpeg", "ssim"), image(2, "pebbles", "jpeg", "ms_ssim")),
    ),
    Seeded("SSIM above 1", to(image(1, "bird", "jpeg", "ssim"), "1.9616")),
    Seeded("two digits of an SSIM exchanged", to(image(2, "leaves", "msroi", "ssim"), "0.9158")),
    Seeded("file larger than JPEG's", to(image(1, "bird", "msroi", "bytes"), "47614")),
    Seeded("file smaller than the bound allows", to(image(2, "corals", "msroi", "bytes"), "66278")),
    Seeded("two digits of a size exchanged", to(image(1, "truck", "msroi", "bytes"), "53662")),
    Seeded("rows of an image copied to the next", copied),
    Seeded(
        "both methods of an image exchanged",
        lambda numbers: {
            at: numbers[at.other(method={"jpeg": "msroi", "msroi": "jpeg"}[at.method])]
            for at in numbers
            if (at.table, at.image) == ("1", "cathedral")
        },
    ),
    Seeded("two digits of a mean SSIM exchanged", to(mean(4, 30, "jpeg", "ssim"), "0.9735")),
    Seeded("first digit of a mean wrong", to(mean(4, 30, "jpeg", "psnr_db"), "20.637")),
    Seeded(
        "means of two qualities exchanged",
        exchange(mean(4, 30, "jpeg", "psnr_db"), mean(4, 50, "jpeg", "psnr_db")),
    ),
    Seeded(
        "means of the two methods exchanged",
        exchange(mean(4, 50, "jpeg", "ssim"), mean(4, 50, "msroi", "ssim")),
    ),
    Seeded(
        "two digits of a quoted gain exchanged",
        claims={"gain-salicon-50-psnr": {"printed": "1.90"}},
    ),
    Seeded(
        "gain quoted of another quality",
        claims={"gain-general-50-psnr": {"printed": "0.07"}},
    ),
    Seeded("gain quoted in another unit", claims={"gain-general-30-psnr": {"printed": "0.40"}}),
    Seeded(
        "largest gain given to another image", claims={"largest-gain-ssim": {"image": "elephant"}}
    ),
    Seeded("largest gain misprinted", claims={"largest-gain-psnr": {"printed": "1.16"}}),
    Seeded("two digits of a count exchanged", claims={"split-adds-up": {"total": "9414"}}),
    Seeded("wrong percentage", claims={"split-share-training": {"printed": "88.3"}}),
    Seeded("wrong number of layers", claims={"layers": {"total": "24"}}),
    Seeded(
        "count that is no multiple of the classes", claims={"split-last-15": {"printed": "1503"}}
    ),
    Seeded("an exception not mentioned", claims={"texture-psnr": {"except": []}}),
    Seeded(
        "averages in the wrong order",
        claims={"quality-final-rises": {"values": ["57", "31", "73"]}},
    ),
    Seeded("tighter bound than the table keeps", claims={"size-bound-table-1": {"percent": "0.5"}}),
    Seeded("sample too small for the p-value", samples={"salicon": Sample(20, 20000)}),
)
