import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from msroi import images
from msroi.errors import MissingError
from msroi.experiment import params, prepared_images
from msroi.experiment.layout import Layout
from msroi.experiment.packed_images import PackedImages, PackWriter
from msroi.experiment.params import Augment
from msroi.files import write_csv
from msroi.stages import augment
from msroi.stages.augment import draw_view, transform

pytestmark = pytest.mark.numerics

ROOT = Path(__file__).parents[2]
PAPER = Augment(views=3, plain_view=False, rotation_deg=30, scale_pct=30, flips=True)
CAT = skimage.data.chelsea()
EXACT = 0.01  # of 255


def moved(image, rotation=0.0, scale=1.0, horizontal=0, vertical=0):
    draw = np.array([[rotation, scale, horizontal, vertical]], np.float32)
    return np.asarray(transform(image[None], draw))[0]


# --- the transformation


def test_the_identity_gives_the_image_back_exactly():
    shown = moved(CAT)
    assert shown.dtype == np.float32
    np.testing.assert_array_equal(shown, CAT.astype(np.float32))


@pytest.mark.parametrize("size", [(32, 32), (31, 40), (40, 33)])
@pytest.mark.parametrize(("horizontal", "vertical"), [(1, 0), (0, 1), (1, 1)])
def test_flips_are_exact(size, horizontal, vertical):
    image = CAT[: size[0], : size[1]]
    axes = [axis for axis, on in ((1, horizontal), (0, vertical)) if on]
    expected = np.flip(image, axes).astype(np.float32)
    shown = moved(image, horizontal=horizontal, vertical=vertical)
    np.testing.assert_array_equal(shown, expected)


@pytest.mark.parametrize("side", [32, 33])
@pytest.mark.parametrize("quarters", [-2, -1, 1, 2, 3])
def test_positive_quarter_turns_are_counter_clockwise(side, quarters):
    image = CAT[100 : 100 + side, 150 : 150 + side]
    shown = moved(image, rotation=90 * quarters)
    np.testing.assert_allclose(shown, np.rot90(image, quarters), atol=EXACT)


def test_a_positive_turn_moves_the_right_hand_side_up():
    image = np.zeros((65, 65, 3), np.uint8)
    image[32, 56] = 255
    y, x = np.unravel_index(moved(image, rotation=30)[..., 0].argmax(), (65, 65))
    assert (y, x) == (32 - 12, 32 + 21)


def test_scale_above_one_enlarges():
    image = np.zeros((65, 65, 3), np.uint8)
    image[16:49, 16:49] = 255
    areas = [(moved(image, scale=scale)[..., 0] > 127).sum() for scale in (0.7, 1, 1.3)]
    np.testing.assert_allclose(areas, [(33 * s) ** 2 for s in (0.7, 1, 1.3)], rtol=0.08)


def test_the_picture_is_flipped_first_and_turned_afterwards():
    image = CAT[50:114, 60:124]
    expected = moved(np.ascontiguousarray(image[:, ::-1]), rotation=20)
    shown = moved(image, rotation=20, horizontal=1)
    np.testing.assert_allclose(shown, expected, atol=EXACT)


def reference(image, rotation, scale, horizontal, vertical):
    """SciPy's affine transformation of the same draw, channel by channel, in float64."""
    angle = np.deg2rad(rotation)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix = np.diag([1 - 2 * vertical, 1 - 2 * horizontal]) @ turn / scale
    centre = (np.array(image.shape[:2]) - 1) / 2
    return np.stack(
        [
            scipy.ndimage.affine_transform(
                image[..., channel].astype(np.float64),
                matrix,
                centre - matrix @ centre,
                order=1,
                mode="reflect",
            )
            for channel in range(3)
        ],
        axis=2,
    )


@settings(max_examples=20, deadline=None)
@given(
    rotation=st.floats(-180, 180, width=32),
    scale=st.floats(0.25, 1.9375, width=32),
    horizontal=st.integers(0, 1),
    vertical=st.integers(0, 1),
)
def test_general_draws_against_scipy(rotation, scale, horizontal, vertical):
    image = CAT[::2, ::2]
    shown = moved(image, rotation, scale, horizontal, vertical)
    expected = reference(image, rotation, scale, horizontal, vertical)
    np.testing.assert_allclose(shown, expected, atol=EXACT)
    assert shown.min() >= 0
    assert shown.max() <= 255


def test_the_papers_draws_against_scipy_at_the_networks_size():
    photo = images.resize(CAT, 224)
    for draw in draw_view(PAPER, 10, (1, 2, 3)):
        np.testing.assert_allclose(moved(photo, *draw), reference(photo, *draw), atol=EXACT)


def test_an_image_does_not_depend_on_its_batch():
    batch = np.stack([CAT[i : i + 48, 2 * i : 2 * i + 48] for i in range(7)])
    draws = draw_view(PAPER, 7, (0,)).astype(np.float32)
    together = np.asarray(transform(batch, draws))
    for number in range(7):
        alone = np.asarray(transform(batch[number : number + 1], draws[number : number + 1]))
        np.testing.assert_array_equal(together[number], alone[0])
    backwards = np.asarray(transform(batch[::-1], draws[::-1]))
    np.testing.assert_array_equal(together, backwards[::-1])


def test_a_constant_image_stays_as_it_is():
    grey = np.full((40, 40, 3), 137, np.uint8)
    np.testing.assert_allclose(moved(grey, 23, 0.7, 1, 0), 137, atol=EXACT)


# --- the draws


def test_ranges_are_respected_and_used():
    rotation, scale, *flips = draw_view(PAPER, 5000, (7,)).T
    assert np.abs(rotation).max() <= 30
    assert np.abs(scale - 1).max() <= 0.3 + 1e-12
    for values, low, high in ((rotation, -30, 30), (scale, 0.7, 1.3)):
        assert values.min() < low + (high - low) / 100
        assert values.max() > high - (high - low) / 100
        counts, _ = np.histogram(values, 10, (low, high))
        np.testing.assert_allclose(counts, 500, rtol=0.2)
    for flip in flips:
        assert set(flip) == {0, 1}
        assert 0.45 < flip.mean() < 0.55
    assert abs(np.corrcoef(draw_view(PAPER, 5000, (7,)).T) - np.eye(4)).max() < 0.05


def test_ranges_of_nothing_are_the_identity():
    still = Augment(views=1, plain_view=False, rotation_deg=0, scale_pct=0, flips=False)
    np.testing.assert_array_equal(draw_view(still, 50, (7,)), np.tile([0, 1, 0, 0], (50, 1)))


def test_switching_flips_off_changes_nothing_else():
    without = draw_view(dataclasses.replace(PAPER, flips=False), 50, (7,))
    np.testing.assert_array_equal(without[:, :2], draw_view(PAPER, 50, (7,))[:, :2])
    assert (without[:, 2:] == 0).all()


def test_draws_have_four_decimals():
    draws = draw_view(PAPER, 200, (7,))[:, :2]
    np.testing.assert_array_equal(draws, draws.round(4))
    assert (draws != draws.round(3)).any(axis=0).all()


def test_draws_follow_from_the_seed():
    np.testing.assert_array_equal(draw_view(PAPER, 9, (1, 2)), draw_view(PAPER, 9, (1, 2)))
    assert (draw_view(PAPER, 9, (1, 2)) != draw_view(PAPER, 9, (1, 3)))[:, :2].all()


# --- the plan and the stage


@pytest.fixture
def experiment(monkeypatch):
    monkeypatch.chdir(ROOT)
    return dataclasses.replace(params.load("demo"), name="tiny", augment=PAPER)


TRAIN = [0, 1, 4, 5, 6, 8, 9]


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """Lay out ten packed images, seven of which train."""
    monkeypatch.chdir(tmp_path)
    layout = Layout("tiny")
    splits = ["train" if row in TRAIN else "validate" for row in range(9)]
    rows = [{"row": row, "split": split} for row, split in enumerate([*splits, "train"])]
    write_csv(
        layout.index,
        prepared_images.COLUMNS,
        [dict.fromkeys(prepared_images.COLUMNS, "") | r for r in rows],
    )
    packed = PackWriter(layout.packed)
    for i in range(10):
        packed.add(CAT[i : i + 32, i : i + 32])
    packed.close()
    return layout


def lines(layout):
    with layout.plan.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_plan_has_a_row_a_view_and_training_image(experiment, layout):
    augment.run(experiment, layout)
    table = lines(layout)
    assert tuple(table[0]) == augment.COLUMNS
    expected = [(view, row) for view in range(3) for row in TRAIN]
    assert [(int(line["view"]), int(line["row"])) for line in table] == expected


def test_the_plan_reads_back_exactly_what_was_drawn(experiment, layout):
    augment.run(experiment, layout)
    rows, draws = augment.read_plan(layout)
    assert rows.tolist() == TRAIN
    assert draws.shape == (3, len(TRAIN), 4)
    assert draws.dtype == np.float32
    for view in range(3):
        drawn = draw_view(PAPER, len(TRAIN), (experiment.seed, 2, view))
        np.testing.assert_array_equal(draws[view], drawn.astype(np.float32))
        written = [
            [line["rotation_deg"], line["scale"], line["flip_horizontal"], line["flip_vertical"]]
            for line in lines(layout)
            if line["view"] == str(view)
        ]
        np.testing.assert_array_equal(np.array(written, float), drawn)


def test_same_seed_same_files_other_seed_other_plan(experiment, layout):
    augment.run(experiment, layout)
    plan, sheet = layout.plan.read_bytes(), layout.contact_sheet.read_bytes()
    augment.run(experiment, layout)
    assert layout.plan.read_bytes() == plan
    assert layout.contact_sheet.read_bytes() == sheet
    augment.run(dataclasses.replace(experiment, seed=experiment.seed + 1), layout)
    assert layout.plan.read_bytes() != plan


def test_adding_a_view_does_not_change_earlier_ones(experiment, layout):
    augment.run(experiment, layout)
    three = layout.plan.read_text()
    more = dataclasses.replace(PAPER, views=4)
    augment.run(dataclasses.replace(experiment, augment=more), layout)
    four = layout.plan.read_text()
    assert four.startswith(three)
    assert len(four.splitlines()) == len(three.splitlines()) + len(TRAIN)
    first, last = (draw_view(PAPER, 7, (experiment.seed, 2, view)) for view in (0, 3))
    assert not np.array_equal(first, last)


def test_a_plain_view_comes_first_and_changes_no_other(experiment, layout):
    augment.run(experiment, layout)
    _, drawn = augment.read_plan(layout)
    with_plain = dataclasses.replace(PAPER, plain_view=True)
    augment.run(dataclasses.replace(experiment, augment=with_plain), layout)
    _, draws = augment.read_plan(layout)
    np.testing.assert_array_equal(draws[0], np.tile([0, 1, 0, 0], (len(TRAIN), 1)))
    np.testing.assert_array_equal(draws[1:], drawn[1:])
    packed = PackedImages(layout.packed)
    np.testing.assert_array_equal(transform(packed[TRAIN], draws[0]), packed[TRAIN])


def test_the_contact_sheet_shows_originals_and_their_views(experiment, layout):
    augment.run(experiment, layout)
    sheet = images.read_rgb(layout.contact_sheet)
    tile = 32 + 2 * 4
    assert sheet.shape == (6 * tile, (1 + 3) * tile, 3)
    rows, draws = augment.read_plan(layout)
    packed = PackedImages(layout.packed)
    shown = np.linspace(0, len(rows) - 1, 6).astype(int)
    for line, number in enumerate(shown):
        for column in range(4):
            top, left = line * tile + 4, column * tile + 4
            seen = sheet[top : top + 32, left : left + 32]
            (image,) = packed[[rows[number]]]
            if column:
                image = np.rint(moved(image, *draws[column - 1, number]))
            np.testing.assert_array_equal(seen, image)


def test_the_contact_sheet_of_few_images_and_one_view():
    sheet = augment.contact_sheet(CAT[None, :20, :30], np.array([[[0, 1, 1, 0]]], np.float32))
    assert sheet.shape == (28, 2 * 38, 3)
    np.testing.assert_array_equal(sheet[4:24, 4:34], CAT[:20, :30])
    np.testing.assert_array_equal(sheet[4:24, 42:72], CAT[:20, :30][:, ::-1])
    assert (sheet[:4] == 255).all()


def test_a_missing_index_says_what_to_run(experiment, layout):
    layout.index.unlink()
    with pytest.raises(MissingError, match=r"index\.csv is missing; run `snakemake`"):
        augment.run(experiment, layout)
