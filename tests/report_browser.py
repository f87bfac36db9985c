"""What a reader does with the page of a report in a browser."""

import io
import json
import re

import numpy as np
from PIL import Image
from report_pages import Page


def visit(browser, page, size, phone=False, scripts=True):
    """Open a page, and wait until its script has read all figures."""
    browser.open(page, *size, phone=phone, scripts=scripts)
    if scripts:
        browser.wait("!document.querySelector('.scripted').hidden")


def plots(page):
    return Page(page).plots


def spot(browser, number, plot, variable, entry, step):
    """Scroll to a figure; where in the window the point of a line lies, by the axes of its panel."""
    panel, line = next(
        (panel, line)
        for panel in plot["panels"]
        for line in panel["lines"]
        if line["entry"] == entry and line["name"].startswith(variable) and not line.get("dashed")
    )
    i = plot["xs"][line["x"]].index(step)
    found = f"document.querySelectorAll('.frame')[{number}]"
    browser.value(f"{found}.scrollIntoView({{block: 'center'}})")
    left, top, width, height = browser.value(
        f"(b => [b.x, b.y, b.width, b.height])({found}.getBoundingClientRect())"
    )

    def share(axis, value):
        at = np.log if axis["log"] else float
        return (at(value) - at(axis["from"])) / (at(axis["to"]) - at(axis["from"]))

    x0, y0, w, h = panel["box"]
    x, y = x0 + w * share(panel["x"], step), y0 + h * (1 - share(panel["y"], line["y"][i]))
    return left + x * width, top + y * height


def told(browser):
    return browser.value("document.querySelector('.value.on')?.innerText ?? ''")


def colour_at(browser, tmp_path, at):
    """The darkest of the pixels around a place in the window, from 0 to 255."""
    browser.picture(tmp_path / "window.png")
    with Image.open(io.BytesIO((tmp_path / "window.png").read_bytes())) as image:
        x, y = (round(value * image.width / browser.value("innerWidth")) for value in at)
        return min(min(image.convert("RGB").getpixel((x + i, y + j))) for i in (-1, 0, 1) for j in (-1, 0, 1))


def names(plot):
    return [entry["name"] for entry in plot["entries"]]


def shown_values(rows):
    """Mean, lowest and highest as the last row of a box has them."""
    return [float(number) for number in re.findall(r"[\d.e-]+", rows[-1].rpartition(": ")[2])]


def press(browser, number, name):
    """Press the entry of a figure with a name."""
    browser.value(
        f"[...document.querySelectorAll('figure')[{number}].querySelectorAll('.entries button')]"
        f".find(b => b.textContent === {json.dumps(name)}).click()"
    )
