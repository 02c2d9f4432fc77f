"""What is published, as a browser without WebGL shows it: on light pages and on dark ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import optuna
import pytest
from PIL import Image

from qspinn_optuna.dashboard import publish
from qspinn_optuna.selection import Choice
from tests.dashboard.browser import CHROMIUM, Page, browser
from tests.dashboard.published import NUMBER, finished_study, served

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

HEIGHT = 4_900
"""Pixels of a window that shows all figures at once."""

TITLES = (
    "1. published: accuracy against memory",
    "2. published: memory by parameter",
    "3. Bits of every parameter",
    "4. Flash and RAM against devices",
    "5. What is chosen for which mu",
    "6. published: accuracy by scheme",
    "7. published: hypervolume",
    "8. Significance: one parameter narrowed",
)

LEGIBLE = 4.5
"""Contrast that WCAG 2 asks for."""

FIGURES = """
[...document.querySelectorAll('.js-plotly-plot')].filter(figure =>
  /^[0-9]+[.] /.test(figure.querySelector('.gtitle')?.textContent ?? '') &&
  figure.querySelector('.scatterlayer path, .barlayer path, .heatmaplayer image'))
"""
"""Published figures whose data are drawn; others on the page are the dashboard's own."""

TEXTS = f"""
{FIGURES}.flatMap((figure, number) => [...figure.querySelectorAll('.main-svg text')]
  .filter(text => text.textContent.trim() && getComputedStyle(text).visibility === 'visible')
  .map(text => {{
    const frame = figure.getBoundingClientRect(), buttons = figure.querySelector('.modebar').getBoundingClientRect();
    const box = text.getBoundingClientRect();
    const {{fill, fillOpacity}} = getComputedStyle(text);
    return {{
      figure: number, text: text.textContent, fill, fillOpacity,
      turned: /rotate[(](?!0)/.test(text.getAttribute('transform')),
      box: [box.left, box.top, box.right, box.bottom],
      inside: frame.left <= box.left && frame.top <= box.top && box.right <= buttons.left && box.bottom <= frame.bottom,
    }};
  }}))
"""
"""All text of the published figures, with its colours and its place."""


@pytest.fixture(name="study", scope="module")
def make_study() -> optuna.Study:
    return finished_study(optuna.storages.InMemoryStorage())


@pytest.fixture(name="choice", scope="module")
def publish_study(study: optuna.Study) -> Choice:
    choice = publish(study)
    assert choice is not None
    return choice


@pytest.fixture(name="url", scope="module")
def serve(study: optuna.Study) -> Iterator[str]:
    with served(study) as url:
        yield f"{url}/dashboard/studies/{NUMBER}"


@pytest.fixture(name="page", scope="module")
def open_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@needs_chromium
@pytest.mark.usefixtures("choice")
@pytest.mark.parametrize(("dark", "width"), [(False, 1_000), (True, 1_600)], ids=["light", "dark"])
def test_the_figures_are_drawn_and_legible(page: Page, url: str, dark: bool, width: int) -> None:
    """Two figures are beside each other: the narrow ones have 420 pixels, the wide ones 720."""
    page.open(url, dark=dark, width=width, height=HEIGHT)
    page.wait_for(f"{FIGURES}.length === {len(TITLES)}")
    picture = page.picture()
    assert (luminance(picture.getpixel((2, HEIGHT - 2))) < 0.1) is dark  # the page at its left edge
    assert not page.evaluate("document.createElement('canvas').getContext('webgl')")
    titles = sorted(page.evaluate(f"{FIGURES}.map(figure => figure.querySelector('.gtitle').textContent)"))
    assert [title.startswith(wanted) for title, wanted in zip(titles, TITLES, strict=True)] == [True] * len(TITLES)
    texts = page.evaluate(TEXTS)
    assert len(texts) > 100
    assert [text["text"] for text in texts if contrast_of(text, picture) < LEGIBLE] == []
    assert [text["text"] for text in texts if not text["inside"]] == []
    assert [(one["text"], other["text"]) for one, other in combinations(texts, 2) if overlap(one, other)] == []
    assert page.errors == []


@needs_chromium
def test_the_note_of_the_study_has_the_choice_and_the_way_to_c(page: Page, url: str, choice: Choice) -> None:
    page.open(f"{url}/note", dark=True)
    page.wait_for("document.querySelector('h1')?.textContent")
    shown = page.evaluate("document.body.innerText")
    assert page.evaluate("document.querySelector('h1').textContent").startswith(f"{choice.compression:.1f}x smaller")
    assert f"trial {choice.trial_number}" in shown
    assert "qspinn export --study published" in shown
    assert page.errors == []


@needs_chromium
def test_the_note_of_the_chosen_trial_says_so_first(page: Page, url: str, choice: Choice) -> None:
    page.open(f"{url}/trials?numbers={choice.trial_number}")
    page.wait_for("document.body.innerText.includes('Chosen: smallest model')")
    shown = page.evaluate("document.body.innerText")
    assert shown.index("Note") < shown.index("Chosen: smallest model") < shown.index(f"{choice.memory_kib:.2f} KiB, ")
    assert page.errors == []


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two level texts of a figure have boxes that overlap by more than the space around their letters."""
    if one["figure"] != other["figure"] or one["turned"] or other["turned"]:
        return False
    (left, top, right, bottom), box = one["box"], other["box"]
    across, down = min(right, box[2]) - max(left, box[0]), min(bottom, box[3]) - max(top, box[1])
    return bool(across > 2 and down > 3)


def contrast_of(text: dict[str, Any], picture: Image.Image) -> float:
    """Contrast of a text with what is behind it, which is most of the pixels of its box."""
    left, top, right, bottom = (round(edge) for edge in text["box"])
    pixels = picture.crop((left, top, right, bottom)).getcolors(2**20)
    assert pixels, text
    behind: Any = max(pixels)[1]
    ink = [int(part) for part in text["fill"].removeprefix("rgb(").removesuffix(")").split(",")]
    opacity = float(text["fillOpacity"])
    seen = [opacity * part + (1 - opacity) * paper for part, paper in zip(ink, behind, strict=True)]
    dark, light = sorted((luminance(seen), luminance(behind)))
    return (light + 0.05) / (dark + 0.05)


def luminance(color: Any) -> float:
    """Relative luminance of WCAG 2."""
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (part / 255 for part in color)
    ]
    return float(sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))


def test_grey_and_translucent_ink_is_told_from_legible_ink() -> None:
    """Black on white is 21 : 1, and #767676 the lightest legible grey."""
    paper = Image.new("RGB", (20, 10), "white")
    text = {"box": [0, 0, 20, 10], "fill": "rgb(0, 0, 0)", "fillOpacity": "1"}
    assert contrast_of(text, paper) == pytest.approx(21)
    assert contrast_of(text | {"fill": "rgb(118, 118, 118)"}, paper) > LEGIBLE
    assert contrast_of(text | {"fill": "rgb(119, 119, 119)"}, paper) < LEGIBLE
    assert contrast_of(text | {"fillOpacity": "0.4"}, paper) < LEGIBLE
