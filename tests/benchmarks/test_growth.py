"""The plot of the growth of time and memory."""

from benchmarks.growth import GROWTH, draw_growth


def test_the_growth_plot_cuts_nothing_off(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr("reproduce.comparison.figures.save", lambda figure, path: figures.append(figure))
    points = {
        size: [
            {"cpu_seconds": [scale * n], "imported_bytes": 0, "peak_bytes": scale * n * 10**9, "value": n}
            for n in (1, 2)
        ]
        for scale, size in enumerate(GROWTH, start=1)
    }
    draw_growth({"points": points}, tmp_path / "growth.png")
    axes = figures[0].axes
    assert len(axes) == 2 * len(points)
    for axis in axes:
        low, high = axis.get_ylim()
        drawn = axis.get_lines()[0].get_ydata()
        assert low == 0
        assert max(drawn) < high
