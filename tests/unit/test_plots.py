from itertools import pairwise

import numpy as np
import pytest

from models.plots import curves, distribution, membership
from models.plots.canvas import FAINT, FIRST, SECOND
from models.plots.curves import Curve, precision_recall, roc
from models.plots.distribution import Bars, Mark
from pipeline.ensembles.learning import METHODS

PNG = b"\x89PNG\r\n"


@pytest.fixture
def figures(monkeypatch):
    """What was drawn, before it became bytes."""
    made = []
    for module in (curves, distribution, membership):
        monkeypatch.setattr(module, "png", lambda figure: made.append(figure) or PNG)
    return made


def scored(y, seed=0):
    rng = np.random.default_rng(seed)
    made = []
    for number in range(9):
        scores = np.clip(0.3 * y + rng.random(len(y)) * 0.7, 0, 1).astype(np.float32)
        made.append(
            Curve(label=f"method {number}", scores=scores, called=scores > 0.6, winner=not number)
        )
    return made


def legend_colours(axes):
    """The colour that the legend gives each name."""
    legend = axes.get_legend()
    names = [text.get_text() for text in legend.get_texts()] if legend else []
    return {
        name: line.get_color()
        for name, line in zip(names, legend.get_lines() if names else [], strict=True)
    }


def labels(n=60):
    return (np.arange(n) % 3 == 0).astype(np.int8)


@pytest.mark.parametrize("picture", [roc, precision_recall])
def test_equal_input_gives_equal_bytes(picture):
    y = labels()
    one = picture(y, scored(y), subtitle="batch 1")

    assert one.startswith(PNG)
    assert one == picture(y, scored(y), subtitle="batch 1")
    assert one != picture(y, scored(y, seed=1), subtitle="batch 1")


@pytest.mark.parametrize("picture", [roc, precision_recall])
def test_one_class_and_a_decision_that_calls_nobody_can_be_drawn(picture):
    y = np.zeros(20, dtype=np.int8)
    nobody = Curve(label="none", scores=np.zeros(20, np.float32), called=np.zeros(20, dtype=bool))
    assert picture(y, [nobody], subtitle="").startswith(PNG)


def test_a_distribution_can_be_drawn_with_and_without_what_is_undefined():
    edges = np.linspace(0.4, 0.5, 11)
    bars = Bars(start=edges[:-1], end=edges[1:], n=np.arange(10) ** 2)
    nothing = Bars(start=edges[:0], end=edges[:0], n=np.arange(0))
    winner = Mark(label="vote", valid=0.5, test=0.45, low=0.42, high=0.48, winner=True)
    unknown = Mark(label="stack", valid=0.4, test=None, low=None, high=None)

    for test_bars in (bars, nothing):
        drawn = distribution.distribution(
            bars, test_bars, [winner, unknown], metric="mcc", subtitle=""
        )
        assert drawn.startswith(PNG)


def test_a_distribution_has_its_legend_above_the_bars_and_its_labels_off_the_edge(figures):
    bars = Bars(start=np.array([0.4]), end=np.array([0.5]), n=np.array([9]))
    label = "vote: best of the search"
    mark = Mark(label=label, valid=0.5, test=0.4, low=0.3, high=0.5, winner=True)
    distribution.distribution(bars, bars, [mark], metric="mcc", subtitle="")

    (figure,) = figures
    figure.draw_without_rendering()
    above, below = figure.axes

    assert above.get_legend().get_window_extent().y0 >= above.get_window_extent().y1
    (drawn,) = below.get_yticklabels()
    assert drawn.get_text() == label
    assert drawn.get_window_extent().x0 > 0.1 * figure.dpi


@pytest.mark.parametrize("n", [[], [1], [2], [3], [9, 4]])
def test_a_distribution_counts_in_whole_numbers_or_says_that_there_is_nothing_to_count(figures, n):
    edges = np.linspace(0.4, 0.5, len(n) + 1)
    bars = Bars(start=edges[:-1], end=edges[1:], n=np.array(n, dtype=np.int64))
    mark = Mark(label="vote", valid=0.5, test=0.4, low=0.3, high=0.5, winner=True)
    distribution.distribution(bars, bars, [mark], metric="mcc", subtitle="")

    (figure,) = figures
    figure.draw_without_rendering()
    above = figure.axes[0]
    ticks = [label.get_text() for label in above.get_yticklabels()]
    said = [text.get_text() for text in above.texts]

    assert len(set(ticks)) == len(ticks)
    assert said == ([] if n else ["mcc is undefined for all ensembles"])


def test_a_distribution_says_what_is_dotted_and_each_methods_figure_on_test(figures):
    bars = Bars(start=np.array([0.4]), end=np.array([0.5]), n=np.array([9]))
    vote = Mark(label="vote", valid=0.5, test=0.43215, low=0.3, high=0.5, winner=True)
    stack = Mark(label="stack", valid=0.5, test=None, low=None, high=None)
    distribution.distribution(
        bars, bars, [vote, stack], metric="mcc", subtitle="batch 1: " + "words " * 9
    )

    (figure,) = figures
    figure.draw_without_rendering()
    above, below = figure.axes
    (value,) = below.texts
    box = above.get_legend().get_window_extent()

    assert legend_colours(above)["the answer on valid"] == FIRST
    assert legend_colours(above)["the answer on test"] == SECOND
    assert value.get_text() == "0.4321"
    assert below.get_window_extent().x1 < value.get_window_extent().x0
    assert value.get_window_extent().x1 < figure.bbox.x1
    assert not any(text.get_window_extent().overlaps(box) for text in figure.texts)


@pytest.mark.parametrize(
    ("valid", "test", "named"),
    [
        (None, None, []),
        (0.45, None, ["the answer on valid"]),
        (None, 0.45, ["the answer on test"]),
    ],
)
def test_a_legend_names_the_answer_only_where_its_line_is(figures, valid, test, named):
    nothing = Bars(start=np.array([]), end=np.array([]), n=np.array([], dtype=np.int64))
    vote = Mark(label="vote", valid=valid, test=test, low=None, high=None, winner=True)
    distribution.distribution(nothing, nothing, [vote], metric="mcc", subtitle="")

    (figure,) = figures
    figure.draw_without_rendering()
    above, _ = figure.axes

    assert list(legend_colours(above)) == named
    assert len(above.lines) == len(named)


def test_one_ensemble_beside_hundreds_of_thousands_has_a_height_that_is_seen(figures):
    bars = Bars(start=np.array([0.4, 0.5]), end=np.array([0.5, 0.6]), n=np.array([400_000, 1]))
    vote = Mark(label="vote", valid=0.55, test=0.43, low=0.3, high=0.5, winner=True)
    distribution.distribution(bars, bars, [vote], metric="mcc", subtitle="")

    (figure,) = figures
    figure.draw_without_rendering()
    above, _ = figure.axes
    (_, floor), (_, one), (_, most), (_, top) = (
        above.transData.transform((0.5, n)) for n in (above.get_ylim()[0], 1, 400_000, 800_000)
    )

    assert one - floor > 5  # points of the picture
    assert floor < one < most < above.get_window_extent().y1 <= top + 1
    assert "logarithmic" in above.get_ylabel()


def test_membership_can_be_drawn_for_one_model_and_for_more_kinds_than_colours():
    for models in (1, 40):
        share = np.linspace(0.1, 0.2, models)
        drawn = membership.membership(
            share,
            [f"KIND-{i % 12}" for i in range(models)],
            [f"1/{i}/1" for i in range(models)],
            chance=0.15,
            band=(0.14, 0.16),
            subtitle="",
        )
        assert drawn.startswith(PNG)


@pytest.mark.parametrize("models", [6, 8, 60, 374])
def test_membership_names_every_model_that_there_is_room_for(figures, models):
    names = [f"1234/{9000 + i}/12" for i in range(models)]
    kinds = [f"KIND-{i % 3}" for i in range(models)]
    share = np.linspace(0.2, 0.1, models)
    membership.membership(share, kinds, names, chance=0.15, band=(0.14, 0.16), subtitle="")

    (figure,) = figures
    figure.draw_without_rendering()
    (axes,) = figure.axes
    labels = axes.get_xticklabels()
    boxes = [label.get_window_extent() for label in labels]

    expected = sorted(range(models), key=lambda i: i % 3) if models <= 60 else [0, 1, 2]
    assert [label.get_text() for label in labels] == [names[i] for i in expected]
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))
    assert min(box.y0 for box in boxes) > axes.xaxis.label.get_window_extent().y1


def test_the_legend_of_membership_counts_one_model_and_more():
    assert membership.in_words("ML-RF", np.array([0.125])) == "ML-RF   1 model, mean 12.5%"
    assert membership.in_words("ML-RF", np.array([0.1, 0.2])) == "ML-RF   2 models, mean 15.0%"


def vote_and_others(y):
    """A vote of 20 rounds, of which many rows have none, beside finer scores."""
    rng = np.random.default_rng(0)
    made = {}
    for name in ("vote", "mean", "single", "stack", "tuned"):
        scores = np.clip(0.3 * y + 0.7 * rng.random(len(y)), 0, 1).astype(np.float32)
        if name == "vote":
            scores = np.clip(np.round(30 * scores - 11) / 20, 0, 1).astype(np.float32)
        made[name] = scores
    return [
        Curve(
            label=METHODS[name],
            scores=scores,
            called=scores >= np.float32(0.55),
            winner=name == "vote",
            named=name in ("vote", "mean", "single"),
        )
        for name, scores in made.items()
    ]


def panels(figure):
    return [axes for axes in figure.axes if axes.axison]


def figure_legend(figure):
    (legend,) = (axes.get_legend() for axes in figure.axes if axes.get_legend())
    return legend


def legend_text(figure):
    return "\n".join(text.get_text() for text in figure_legend(figure).get_texts())


def test_precision_is_drawn_at_every_cut_of_a_vote_and_nowhere_else(figures):
    y = labels(900)
    vote, *others = vote_and_others(y)
    precision_recall(y, [vote, *others], subtitle="")

    (figure,) = figures
    whole, near = panels(figure)
    found = {}
    for share in np.unique(vote.scores)[1:]:  # from the least on all rows are called 1
        called = vote.scores >= share
        found[(called & (y == 1)).sum() / (y == 1).sum()] = y[called].mean()
    for axes in (whole, near):
        for line in axes.lines:
            if line.get_color() == FIRST and len(line.get_xdata()) > 1:
                expected = [[*reversed(found)], [*reversed(found.values())]]
                np.testing.assert_allclose(line.get_data(), expected)
    ends = [line.get_xdata().max() for line in whole.lines if line.get_color() == FIRST]

    assert len(ends) == 3  # line, points, decision
    assert max(ends) == max(found) < 0.99
    assert f"{METHODS['vote']}   recall {min(found):.2f} to {max(found):.2f}" in legend_text(figure)
    assert legend_text(figure).count("recall") == 1


@pytest.mark.parametrize("rows", [40, 900])
@pytest.mark.parametrize("picture", [roc, precision_recall])
def test_few_curves_are_told_apart_and_the_others_are_their_background(figures, picture, rows):
    y = labels(rows)
    picture(y, vote_and_others(y), subtitle="batch 12")

    (figure,) = figures
    figure.draw_without_rendering()
    whole, near = panels(figure)
    legend = figure_legend(figure)
    names = [text.get_text().split("   ")[0] for text in legend.get_texts()]
    known = [METHODS[name] for name in ("vote", "mean", "single")]
    looks = dict(zip(names, legend.get_lines(), strict=True))
    told = [looks[name] for name in known]
    fronts = [
        next(line for line in whole.lines if line.get_color() == look.get_color()) for look in told
    ]
    behind = [line for line in whole.lines if line.get_color() == FAINT]

    assert names == [*known, "2 other methods", "all called 1"][: len(names)]
    assert len({look.get_marker() for look in told}) == 3
    assert len({look.get_color() for look in told}) == 3
    assert len({look.get_linestyle() for look in told}) == 2
    assert min(line.zorder for line in fronts) > min(line.zorder for line in behind)
    answer, *over = fronts
    assert all(line.zorder > answer.zorder for line in over)
    assert all(line.get_linewidth() < answer.get_linewidth() for line in over)
    box = legend.get_window_extent()
    assert figure.bbox.x0 < box.x0 < box.x1 < figure.bbox.x1
    assert not any(box.overlaps(axes.get_tightbbox()) for axes in (whole, near))


@pytest.mark.parametrize("picture", [roc, precision_recall])
def test_the_second_panel_holds_every_decision_and_is_framed_in_the_first(figures, picture):
    y = labels(900)
    picture(y, vote_and_others(y), subtitle="")

    (figure,) = figures
    whole, near = panels(figure)
    dots = [line.get_data() for line in near.lines if len(line.get_xdata()) == 1]
    (left, right), (low, high) = near.get_xlim(), near.get_ylim()
    (frame,) = whole.patches

    assert len(dots) == 5
    assert all(left < x[0] < right and low < y_[0] < high for x, y_ in dots)
    assert right - left == pytest.approx(high - low)
    assert right - left < 0.7
    assert frame.get_bbox().bounds == pytest.approx((left, low, right - left, high - low))
