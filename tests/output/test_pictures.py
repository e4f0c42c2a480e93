"""Pictures: what is drawn is what is stored, with its error, within sensible axes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import stats

import fsp
from fsp.distribution import Distribution, ErrorLedger, Solution, Sweep
from fsp.errors import ArgumentError
from fsp.output import pictures as plot

N = 90
BIRTHS = fsp.Model(
    species={"A": 0},
    parameters={"k": 5.0, "g": 1.0},
    reactions=[fsp.Reaction("0 -> A", mass_action="k"), fsp.Reaction("A -> 0", mass_action="g")],
)
ISOMERS = fsp.Model(
    species={"A": 4, "B": 0},
    reactions=[fsp.Reaction("A -> B", mass_action=1.0), fsp.Reaction("B -> A", mass_action=1.0)],
)


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
    assert 60 < axes.get_xlim()[1] < N  # ends where a ten-thousandth is left
    (rare,) = plot.marginals(list(solution), "U", log=True).axes
    assert axes.get_xlim()[1] < rare.get_xlim()[1] < N


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
    assert window.sum() == pytest.approx(solution[-1].mass, abs=5e-6 if log else 5e-4)
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
    with pytest.raises(ArgumentError, match="one or more different names"):
        solution[0].plot("U", "U")
    with pytest.raises(ArgumentError, match="`distributions` must be at least one"):
        plot.marginals([], "U")


def bursts(t):
    """Make an atom at zero beside a long geometric tail."""
    p = stats.geom.pmf(np.arange(1, 200), 0.05) * 0.2
    return Distribution(np.arange(200)[:, None], [1 - p.sum(), *p], ["M"], t=t, error=ErrorLedger())


def test_an_atom_beside_a_tail_is_labelled_and_does_not_flatten_it():
    one = bursts(1.0)
    (axes,) = one.plot("M").axes
    atom, tail = one.probabilities[0], one.probabilities[1]
    assert tail < axes.get_ylim()[1] < 2 * tail
    assert f"P(M = 0) = {atom:.3g}" in texts(axes.figure)
    assert one.plot("M", log=True).axes[0].get_ylim()[1] > atom
    mesh = Solution([bursts(1.0), bursts(2.0)], tol=1e-6, solver="").plot("M", kind="heat").axes[0].collections[0]
    assert mesh.norm.vmax == tail


def test_pictures_go_into_axes_that_are_given(solution):
    from matplotlib.figure import Figure

    decay = fsp.Model(species={"A": 3}, reactions=[fsp.Reaction("A -> 0", mass_action=1.0)])
    law = fsp.passage(decay, "A < 1", [1.0, 2.0])
    draws = {
        "marginal": lambda ax: solution[-1].plot("U", ax=ax),
        "joint": lambda ax: solution[-1].plot("U", "V", ax=ax),
        "courses": lambda ax: solution.plot("U", ax=ax),
        "heat": lambda ax: solution.plot("U", kind="heat", ax=ax),
        "marginals": lambda ax: solution.plot("U", kind="marginals", log=True, ax=ax),
        "sweep": lambda ax: SWEPT.plot("U", ax=ax),
        "passage": lambda ax: law.plot(ax=ax),
        "sensitivity": lambda ax: fsp.sensitivity(BIRTHS, [1.0], ["k"]).plot("A", ax=ax),
        "correlation": lambda ax: fsp.correlation(BIRTHS, "A", [0.5, 1.0]).plot(ax=ax),
        "committor": lambda ax: fsp.committor(ISOMERS, "B == 0", "B == 4").plot("A", "B", ax=ax),
    }
    for name, draw in draws.items():
        axes = Figure().add_subplot()
        assert draw(axes) is axes, name
        assert axes.has_data(), name


def test_curves_in_the_same_axes_differ_and_stay_in_sight(solution):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    axes.plot([120.0], [0.5], "x", label="data")
    early, late = solution[1], solution[-1]
    early.plot("V", ax=axes, label="early")
    late.plot("V", ax=axes)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["data", "early", "t = 1 min"]
    looks = [(line.get_color(), line.get_linestyle()) for line in axes.lines]
    assert len(set(looks)) == 3
    assert axes.get_xlim()[1] >= 120
    assert axes.get_ylim()[1] >= 0.5
    words = axes.get_title(loc="right")
    assert all(one.error.summary.removeprefix("error ") in words for one in (early, late))
    assert axes.get_title(loc="left") == ""


def test_heat_maps_end_their_colours_where_few_times_tower_over_the_others():
    births = fsp.Model(species={"A": 0}, reactions=[fsp.Reaction("0 -> A", rate=100)])
    solution = fsp.transient(births, [0.02, 3, 4, 5, 6])
    usual = max(one.probabilities.max() for one in solution[1:])
    assert solution[0].probabilities.max() > 10 * usual  # Poisson of mean 2 beside those of 300 and more
    assert solution.plot("A", kind="heat").axes[0].collections[0].norm.vmax <= usual


def test_courses_have_bands_of_quantiles(solution):
    (axes,) = solution.plot("U", kind="courses").axes
    below, above, median, mean = (line.get_ydata() for line in axes.lines)
    for level, curve in ((0.05, below), (0.5, median), (0.95, above)):
        assert curve.tolist() == [one.quantile("U", level) for one in solution]
    assert mean == pytest.approx(solution.mean()["U"])


def test_heat_maps_show_each_time_as_its_marginal(solution):
    (axes, _) = solution.plot("V", kind="heat").axes
    mesh = axes.collections[0]
    table = mesh.get_array()  # (n_counts, n_times)
    for k, one in enumerate(solution):
        pmf = one.marginal("V").pmf[: table.shape[0]]
        assert np.array_equal(table[: len(pmf), k], pmf)
    assert mesh.norm.vmax == max(one.marginal("V").pmf.max() for one in solution[1:])  # not of the start, a point


def test_corners_are_of_all_pairs(tmp_path):
    states = np.array(list(np.ndindex(*[3] * 3)))
    three = Distribution(states, np.full(27, 1 / 27), ("A", "B", "C"), t=1.0, error=ErrorLedger())
    figure = three.plot()
    assert [axes.get_xlabel()[0] for axes in figure.axes] == list("ABACAB")
    assert written(figure, tmp_path / "corner.png")


SWEPT = Sweep(
    ["k"], np.array([[2.0], [1.0]]), [Solution([toggle(t)], tol=1e-6, solver="") for t in (1.0, 1.0)], shape=[2]
)


def test_sweeps_are_lines_and_maps():
    (first, second) = SWEPT.plot().axes
    assert first.get_xlabel() == second.get_xlabel() == "k"
    (line,) = first.lines
    assert line.get_xdata().tolist() == [1.0, 2.0]
    assert line.get_ydata() == pytest.approx(SWEPT.mean()["U"][::-1, 0])
    points = np.array([[1.0, 5.0], [1.0, 6.0], [2.0, 5.0], [2.0, 6.0]])
    ones = [Solution([toggle(t)], tol=1e-6, solver="") for t in (0.25, 0.5, 1.0)]
    grid = Sweep(["a", "b"], points, [ones[0], ones[1], None, ones[2]], shape=[2, 2], failures={2: "failed"})
    table = grid.plot("U").axes[0].collections[0].get_array()
    assert table[1, 0] == ones[1].mean()["U"][0]
    assert np.ma.is_masked(table[0, 1]) or np.isnan(table[0, 1])
    with pytest.raises(ArgumentError, match="over one or two names"):
        Sweep(["a", "b"], points, [ones[0]] * 4, shape=[4]).plot()


def test_modes_are_drawn_with_their_times(tmp_path):
    from matplotlib.figure import Figure

    ways = [fsp.Reaction("A -> B", mass_action=1.0), fsp.Reaction("B -> A", mass_action=1.0)]
    modes = fsp.relaxation(fsp.Model(species={"A": 5, "B": 0}, reactions=ways), 2)
    figure = modes.plot("A")
    assert "mode 1: relaxation time 0.5" in texts(figure)
    ax = Figure().add_subplot()
    assert modes.plot("A", ax=ax) is ax
    assert ax.get_title("left") == "mode 1: relaxation time 0.5"
    assert modes.plot("A", mode=2, ax=ax) is ax
    assert [text.get_text()[:7] for text in ax.get_legend().get_texts()] == ["mode 1:", "mode 2:"]
    assert len(modes.plot(mode=2).axes) == 2
    for wrong in ({"mode": 3}, {"mode": 0}, {"ax": ax}):
        with pytest.raises(ArgumentError, match=r"`mode` must be a number from 1|one name for `ax`"):
            modes.plot(**wrong)
    assert written(figure, tmp_path / "modes.png")
    moved = figure.axes[0].lines[1].get_ydata()
    assert moved.sum() == pytest.approx(0.0, abs=1e-9)  # a mode moves probability, and makes none


def test_a_notebook_shows_figures(solution):
    assert solution[-1].plot("U")._repr_png_().startswith(b"\x89PNG")


def test_pictures_say_how_many_species_are_left_out():
    states = np.array(list(np.ndindex(*[2] * 8)))
    many = Distribution(states, np.full(256, 1 / 256), tuple("ABCDEFGH"), t=1.0, error=ErrorLedger(), model_name="many")
    assert any("6 of 8 species" in text for text in texts(plot.overview(many)))


def test_derivatives_of_means_are_drawn_in_their_bounds():
    times = np.array([0.5, 1.0, 2.0])
    (axes,) = fsp.sensitivity(BIRTHS, times, ["k", "g"]).plot().axes
    by_k, by_g = (line for line in axes.lines if line.get_label().startswith("by log "))
    mean = 5 * (1 - np.exp(-times))  # k/g (1 - exp(-g t)), which is its derivative by log k
    assert by_k.get_ydata() == pytest.approx(mean, abs=1e-5)
    assert by_g.get_ydata() == pytest.approx(5 * times * np.exp(-times) - mean, abs=1e-5)
    band = axes.collections[0].get_paths()[0].vertices
    for t, value in zip(times, mean, strict=True):
        edges = band[band[:, 0] == t, 1]
        assert edges.min() <= value <= edges.max()
        assert np.ptp(edges) < 1e-4
    assert any(text.startswith("1-norm error of derivatives ≤") for text in texts(axes.figure))


def test_derivatives_at_a_time_are_those_of_marginals():
    moved = fsp.sensitivity(BIRTHS, [2.0], ["k"], log=False)
    (axes,) = moved.plot("A").axes
    assert moved[0].plot("A").axes[0].get_xlim() == axes.get_xlim()
    (curve,) = (line for line in axes.lines if line.get_label() == "by k")
    mean, change = 5 * (1 - np.exp(-2.0)), 1 - np.exp(-2.0)
    counts = curve.get_xdata()
    law = stats.poisson.pmf(counts, mean)
    exact = change * (np.concatenate([[0.0], law[:-1]]) - law)  # dP(n)/dm = P(n - 1) - P(n)
    assert np.abs(curve.get_ydata() - exact).sum() <= moved[0].error("k").total + 1e-12
    assert axes.get_title(loc="left") == "t = 2"


REFUSED = [
    (lambda s: s.plot("U", colour="red"), "Options of `plot` must be of kind, log, ax, label, but there is 'colour'"),
    (lambda s: s[-1].plot("U", "V", label="both"), "`label` must be None for kind = joint"),
    (lambda s: fsp.sensitivity(BIRTHS, [1.0], ["k"]).plot("Z"), "Species must be one of A"),
    (lambda s: s.plot(kind="pie"), "`kind` must be one of overview"),
    (lambda s: s.plot(kind="heat"), "must be one name for kind = heat, but are 0"),
    (lambda s: s.plot("U", kind="joint"), "must be two names for kind = joint, but are 1"),
    (lambda s: s.plot(kind="courses", log=True), "not a logarithmic scale"),
    (lambda s: s[-1].plot("U", kind="heat"), "not a picture of this kind"),
    (lambda s: s.plot(kind="overview", ax=1), "not `ax`"),
    (lambda s: plot.moments(s, band="range"), "`band` must be std or quantiles"),
    (lambda s: plot.sweep(SWEPT, t=7.0), "`t` must be one of 1"),
    (lambda s: s[:1].plot("U", kind="heat"), "two times at least"),
]


@pytest.mark.parametrize(("draw", "what"), REFUSED, ids=map(str, range(len(REFUSED))))
def test_pictures_that_there_are_not_are_refused(solution, draw, what):
    with pytest.raises(ArgumentError, match=what):
        draw(solution)
