"""Pictures: what is drawn is what is stored, with its error, within sensible axes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import stats

from fsp.distribution import Distribution, ErrorLedger, Solution
from fsp.errors import ArgumentError
from fsp.output import pictures as plot

N = 90


def toggle(t, certified=True):
    """Make two species of which one is high and the other low; at t = 0 none is there."""
    low, high = stats.poisson.pmf(np.arange(N), 4), stats.poisson.pmf(np.arange(N), 1 + 40 * (t or 1))
    joint = 0.7 * np.outer(high, low) + 0.3 * np.outer(low, high)
    if t == 0:
        joint = np.zeros((N, N))
        joint[0, 0] = 1.0
    return Distribution(
        np.array(list(np.ndindex(N, N))),
        joint.ravel(),
        ("U", "V"),
        t=t,
        error=ErrorLedger(truncation=1e-7 * (t or 0.5), certified=certified),
        model_name="toggle",
        time_unit="min",
    )


@pytest.fixture(scope="module")
def solution():
    return Solution([toggle(t) for t in (0.0, 0.25, 0.5, 1.0)], tol=1e-6, solver="")


def texts(figure):
    import matplotlib.text

    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def written(figure, path):
    figure.savefig(path)
    return path.stat().st_size > 5_000


def test_no_window_and_no_global_figure(solution, tmp_path):
    assert written(solution.plot(), tmp_path / "all.png")
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_overview_has_rows_of_species_and_a_heat_map(solution, tmp_path):
    figure = solution.plot()
    panels = [axes for axes in figure.axes if axes.get_xlabel()]
    assert [axes.get_xlabel() for axes in panels] == [
        "time (min)",
        "U (copies)",
        "time (min)",
        "V (copies)",
        "U (copies)",
    ]
    assert "toggle: 1-norm error ≤ 1.0e-07" in texts(figure)
    assert written(figure, tmp_path / "all.pdf")


def test_marginal_curves_are_the_marginals(solution):
    (axes,) = plot.marginals(list(solution), "U").axes
    assert [line.get_label() for line in axes.lines] == ["t = 0.25 min", "t = 0.5 min", "t = 1 min"]
    for line, dist in zip(axes.lines, solution[1:], strict=True):
        assert np.array_equal(line.get_ydata(), dist.marginal("U").pmf)
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
    assert len({colour for colour, _ in looks}) == len({style for _, style in looks}) == 3
    assert axes.get_xlim()[0] == -0.5
    assert 60 < axes.get_xlim()[1] < N  # ends where a millionth is left


def test_picture_says_that_an_estimate_is_one():
    stationary = toggle(None, certified=False)
    for figure in (stationary.plot("U"), stationary.plot("U", "V"), plot.overview(stationary)):
        assert any("error ≈ 5.0e-08" in text for text in texts(figure))
        assert "stationary" in texts(figure)


@pytest.mark.parametrize("log", [False, True])
def test_heat_map_shows_the_joint_probabilities(solution, log, tmp_path):
    figure = solution[-1].plot("V", "U", log=log)
    mesh = figure.axes[0].collections[0]
    window = mesh.get_array().reshape(mesh.get_coordinates().shape[0] - 1, -1)
    assert window.max() == solution[-1].probabilities.max()
    assert window.sum() == pytest.approx(solution[-1].mass, abs=5e-6)
    assert figure.axes[0].get_xlabel() == "V (copies)"
    assert "t = 1 min" in texts(figure)
    assert written(figure, tmp_path / "joint.png")


def test_few_copies_are_bars(tmp_path):
    states = np.array([[0], [1]])
    gene = [Distribution(states, [q, 1 - q], ("G",), t=q, error=ErrorLedger()) for q in (0.25, 0.5)]
    (axes,) = plot.marginals(gene, "G").axes
    assert [bar.get_height() for bar in axes.patches] == [0.25, 0.75, 0.5, 0.5]
    assert len({bar.get_hatch() for bar in axes.patches}) == 2
    assert written(Solution(gene, tol=1e-6, solver="").plot(), tmp_path / "gene.png")


def test_mean_band_is_one_standard_deviation(solution):
    (axes,) = plot.moments(solution, "U").axes
    mean, std = solution.mean()["U"], solution.std()["U"]
    below, above, line = (line.get_ydata() for line in axes.lines)
    assert line == pytest.approx(mean)
    assert above == pytest.approx(mean + std)
    assert below == pytest.approx(np.maximum(mean - std, 0))
    assert axes.get_xlabel() == "time (min)"


def test_a_point_in_state_space_can_be_drawn(tmp_path):
    dead = Distribution([[3, 0]], [1.0], ("A", "B"), t=2.0, error=ErrorLedger())
    for i, figure in enumerate((dead.plot("A"), dead.plot("A", "B", log=True), plot.overview(dead))):
        assert written(figure, tmp_path / f"{i}.png")
    dead.marginal("B").plot(log=True).savefig(tmp_path / "b.svg")


def test_many_species_fill_one_page(tmp_path):
    states = np.array(list(np.ndindex(*[2] * 8)))
    many = Distribution(states, np.full(256, 1 / 256), tuple("ABCDEFGH"), t=1.0, error=ErrorLedger())
    figure = plot.overview(many)
    assert [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()][:6] == [f"{s} (copies)" for s in "ABCDEF"]
    assert written(figure, tmp_path / "many.png")


def test_bad_names_are_refused(solution):
    with pytest.raises(ArgumentError, match="Species must be one of U, V, but is 'W'"):
        solution.plot("W")
    with pytest.raises(ArgumentError, match="Species must be one of U, V, but is 'W'"):
        solution[0].plot("W")
    with pytest.raises(ArgumentError, match="must be one or two names"):
        solution[0].plot("U", "V", "U")
    with pytest.raises(ArgumentError, match="`distributions` must be at least one"):
        plot.marginals([], "U")
