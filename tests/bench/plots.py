"""Plots as SVG, readable on light and dark pages: lines over a logarithmic x axis, each named at its end."""
import math

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 170, 48, 52
LINE = 17  # between two names
LIGHT = {"text": "#57606a", "title": "#1f2328", "grid": "#d0d7de", "lines": ("#0969da", "#bc4c00", "#1a7f37", "#6e7781")}
DARK = {"text": "#9198a1", "title": "#f0f6fc", "grid": "#3d444d", "lines": ("#4493f8", "#f0883e", "#3fb950", "#9198a1")}


def _colours(of):
    lines = "".join(f" .{c} path {{ stroke: {colour} }} .{c} circle, .{c} text {{ fill: {colour} }}"
                    for c, colour in zip("abcd", of["lines"]))
    return f"text {{ fill: {of['text']} }} .title {{ fill: {of['title']} }} .grid {{ stroke: {of['grid']} }}{lines}"


STYLE = f"""
  text {{ font: 13px system-ui, sans-serif }} .title {{ font-size: 15px; font-weight: 600 }}
  path {{ fill: none; stroke-width: 2.5; stroke-linejoin: round }} .d path {{ stroke-dasharray: 6 4; stroke-width: 2 }}
  g text {{ font-weight: 600 }}
  {_colours(LIGHT)}
  @media (prefers-color-scheme: dark) {{ {_colours(DARK)} }}
"""


def short(number):
    """As an axis has it: 500, 2k, 15k, 1.5M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def _linear_steps(most):
    """Of an axis from 0 that holds most: about five."""
    rough = most / 5
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * n for n in (1, 2, 5, 10) if size * n >= rough)
    return [step * i for i in range(math.ceil(most / step) + 1)]


def _decades(least, most):
    return [10.0 ** n for n in range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)]


class Plot:
    """series: {name: {x: y}}, drawn in this order; an x of 0 stands left of the axis's first decade."""

    def __init__(self, title, x_title, y_title, series, y_logarithmic=False):
        self.title, self.x_title, self.y_title = title, x_title, y_title
        self.series, self.logarithmic = {name: points for name, points in series.items() if points}, y_logarithmic
        self.x_values = sorted({x for points in self.series.values() for x in points})
        values = [y for points in self.series.values() for y in points.values()]
        self.y_steps = _decades(min(values), max(values)) if y_logarithmic else _linear_steps(max(values))

    def _x(self, x):
        place = lambda value: math.log10(value) if value > 0 else self._zero()
        first, last = place(self.x_values[0]), place(self.x_values[-1])
        return LEFT + (place(x) - first) / max(last - first, 1e-9) * (WIDTH - LEFT - RIGHT)

    def _zero(self):
        """Where 0 stands: as far left of the next value as one decade."""
        return math.log10(next((x for x in self.x_values if x > 0), 1)) - 1

    def _y(self, y):
        place = math.log10 if self.logarithmic else float
        first, last = place(self.y_steps[0]), place(self.y_steps[-1])
        return HEIGHT - BOTTOM - (place(y) - first) / (last - first) * (HEIGHT - TOP - BOTTOM)

    def _axes(self):
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        for y in self.y_steps:
            at = self._y(y)
            yield f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>'
            yield f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{short(y)}</text>'
        for x in self.x_values:
            at = self._x(x)
            yield f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{bottom}" y2="{bottom + 5}"/>'
            yield f'<text x="{at:.1f}" y="{bottom + 20}" text-anchor="middle">{x:,}</text>'
        yield f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{self.x_title}</text>'
        yield (f'<text transform="translate(18 {(TOP + bottom) / 2}) rotate(-90)" '
               f'text-anchor="middle">{self.y_title}</text>')

    def _name_places(self):
        """{name: y} of the names, beside the ends of their lines but not over each other."""
        ends = sorted((self._y(list(points.values())[-1]), name) for name, points in self.series.items())
        places, least = {}, 0.0
        for at, name in ends:
            places[name] = max(at, least)
            least = places[name] + LINE
        return places

    def svg(self):
        names = self._name_places()
        parts = []
        for letter, (name, points) in zip("abcd", self.series.items()):
            dots = [(self._x(x), self._y(y)) for x, y in sorted(points.items())]
            parts.append(f'<g class="{letter}"><path d="M' + " L".join(f"{x:.1f} {y:.1f}" for x, y in dots) + '"/>')
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in dots]
            parts.append(f'<text x="{dots[-1][0] + 10:.1f}" y="{names[name] + 4:.1f}">{name}</text></g>')
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{self.title}">',
            f"<style>{STYLE}</style>", f'<text class="title" x="{LEFT}" y="26">{self.title}</text>',
            *self._axes(), *parts, "</svg>"]) + "\n"
