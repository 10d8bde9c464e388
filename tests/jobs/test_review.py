"""Review sheets, with names that would be HTML; in a browser in the long tests."""

import json
import re
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from trace_edges.files import FileError
from trace_edges.formats import export_coco
from trace_edges.jobs.manifest import _TABLES
from trace_edges.jobs.review import review
from trace_edges.outputs import Outputs
from trace_edges.results import InstanceMasks

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
EVIL = "</script><script>document.title='taken'<!--<img src=x onerror=document.title='taken'>"
NAMES = [EVIL.replace("/", "\u2215"), "b", "a & b"]


@pytest.fixture
def results(tmp_path):
    """A sharp square with its own contour, one with a contour beside it, and no mask."""
    photos, masks = tmp_path / "photos", {}
    photos.mkdir()
    for place, name in enumerate(NAMES):
        pixels = np.full((60, 80, 3), 90, dtype=np.uint8)
        pixels += np.random.default_rng(0).integers(0, 9, pixels.shape, dtype=np.uint8)
        pixels[20:40, 20:40] = 220
        Image.fromarray(pixels).save(photos / f"{name}.png")
        mask = np.zeros((place + 1 if place < 2 else 0, 60, 80), dtype=bool)
        for n, one in enumerate(mask):
            left = 20 if place == 0 else 45 + n
            one[20:40, left : left + 20] = True
        masks[f"{name}.png"] = InstanceMasks(mask, np.full(len(mask), 0.25 + place / 2))
    export_coco(masks, tmp_path / "masks" / "instances.json")
    (tmp_path / "masks" / "report.csv").write_text(
        "key,reason,state\nc<b>,no <i>,failed\n", encoding="utf-8"
    )
    return tmp_path


def test_rows_say_what_the_images_are_sorted_by(results):
    done = review(results / "masks", results / "photos", results / "report.html")
    assert (done.images, done.failed) == (3, 1)
    text = (results / "report.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'id="data">(.*?)</script>', text)
    rows = {row["name"]: row for row in json.loads(data)["images"]}
    assert {name: row["masks"] for name, row in rows.items()} == {
        f"{name}.png": count for name, count in zip(NAMES, (1, 2, 0), strict=True)
    }
    assert rows[f"{NAMES[0]}.png"]["lowest"] == 0.25
    assert rows["a & b.png"]["mean"] is None
    assert rows[f"{NAMES[0]}.png"]["doubt"] < 0.1 < rows["b.png"]["doubt"]
    # two masks of 400 px, of which 380 are the same: 420 px are covered by 800
    assert rows["b.png"]["disagreement"] == pytest.approx(800 / 420 - 1, abs=1e-4)
    assert rows[f"{NAMES[0]}.png"]["disagreement"] == 0
    assert rows["b.png"]["size"] == pytest.approx(400 / 4800, abs=1e-4)
    assert rows["a & b.png"]["size"] is rows["a & b.png"]["disagreement"] is None
    for row in rows.values():
        with Image.open(results / row["file"]) as image:
            assert image.size == (80, 60)
    assert text.count("<script") == 2  # no name has added one


def test_an_image_without_its_photograph_is_listed_and_the_rest_is_shown(results):
    (results / "photos" / "b.png").unlink()
    done = review(results / "masks", results / "photos", results / "report.html")
    assert (done.images, done.failed) == (2, 2)


def test_nothing_is_written_where_the_page_would_replace_a_file(results):
    page = results / "notes.html"
    page.write_text("mine", encoding="utf-8")
    with (
        Outputs("report").writing(),
        pytest.raises(FileError, match=r"notes\.html was not written"),
    ):
        review(results / "masks", results / "photos", page)
    assert page.read_text(encoding="utf-8") == "mine"
    assert not (results / "notes_files").exists()


def _job_of_four_images_half_done(folder):
    """Two of four images are over after 60 s."""
    state = folder / "masks" / ".annotate" / "manifest.sqlite"
    state.parent.mkdir()
    with closing(sqlite3.connect(state)) as base:
        base.executescript(_TABLES)
        rows = [(n, str(n), "", "", None, state, "") for n, state in
                enumerate(("done", "failed", "open", "open"))]  # fmt: skip
        base.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        base.execute("UPDATE spent SET seconds = 60")
        base.commit()


def test_the_page_says_what_was_spent_and_what_is_still_to_come(results):
    _job_of_four_images_half_done(results)
    review(results / "masks", results / "photos", results / "report.html", hourly_price=12)
    text = (results / "report.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'id="data">(.*?)</script>', text)
    shown = json.loads(data)
    told = {key: shown[key] for key in ("seconds", "open", "left", "price")}
    assert told == {"seconds": 60, "open": 2, "left": 60, "price": 12}


@pytest.mark.long
def test_in_a_browser(results):
    """Sorted by what the test says, with the cost of a job that is half done."""
    playwright = pytest.importorskip("playwright.sync_api")
    _job_of_four_images_half_done(results)
    review(results / "masks", results / "photos", results / "report.html", hourly_price=12)
    with playwright.sync_playwright() as started:
        if BROWSER is None:
            pytest.skip("there is no Chromium")
        browser = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        for width in (1280, 390):
            page = browser.new_page(viewport={"width": width, "height": 800})
            wrong = []
            page.on("pageerror", lambda error, wrong=wrong: wrong.append(error))
            page.goto((results / "report.html").as_uri())
            assert page.title() == "Review of masks"
            assert page.locator("figure").count() == 3
            shown = (
                "document.images.length === 3 && [...document.images].every(i => i.naturalWidth)"
            )
            for _ in range(200):  # wait_for_function would be eval, which the page forbids
                if page.evaluate(shown):
                    break
                page.wait_for_timeout(50)
            assert page.evaluate(shown)
            assert "60 s so far (cost 0.20)" in page.locator("#summary").inner_text()
            assert "2 still to come" in page.locator("#summary").inner_text()
            assert "at the pace so far (cost 0.20)" in page.locator("#summary").inner_text()
            for key in ("masks", "disagreement", "doubt", "mean"):  # of b.png most, of a & b none
                page.select_option("#key", key)
                for down, name in ((True, "b.png"), (False, f"{NAMES[0]}.png")):
                    page.locator("#down").set_checked(down)
                    names = page.locator("figcaption b").all_inner_texts()
                    expected = "a & b.png" if (key, down) == ("masks", False) else name
                    assert names[0] == expected, (key, down)
            page.fill("#find", "a &")
            assert page.locator("figure").count() == 1
            assert "no <i>" in page.locator("#failed").inner_text()
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width
            assert wrong == []
            assert page.title() == "Review of masks"
        browser.close()
