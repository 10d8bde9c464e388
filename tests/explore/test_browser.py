"""The page in a real browser, which reaches this computer and no other."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trace_edges.results import EdgeMap

EXAMPLES = Path(__file__).parents[2] / "examples"
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
LONG = 200_000  # ms that a model may take on a busy machine

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium"),
]


@pytest.fixture(scope="module")
def browser():
    pytest.importorskip("gradio")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        arguments = [
            "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ]  # fmt: skip
        opened = playwright.chromium.launch(executable_path=BROWSER, args=arguments)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def serve():
    """Starts the command with these arguments; gives the address of its page."""
    running = []

    def start(*arguments):
        command = [sys.executable, "-m", "trace_edges", "explore", *map(str, arguments)]
        process = subprocess.Popen(
            [*command, "--no-browser"], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        running.append(process)
        address = process.stdout.readline().split()[0]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        return address

    yield start
    for process in running:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def folder_page(serve):
    return serve(EXAMPLES)


@pytest.fixture
def window(browser, folder_page):
    """A window of a person of their own, where the first example is shown with its edges."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(LONG)
    page.requested = []
    page.on("request", lambda request: page.requested.append(request.url))
    page.goto(folder_page)
    wait(page, "#edges-facts", "ridges")
    yield page
    context.close()


def wait(page, place, text):
    page.wait_for_function(
        "([place, text]) => document.querySelector(place)?.innerText.includes(text)",
        arg=[place, text],
    )


def wait_for_instances(page, before):
    """Until another number of instances is told."""
    page.wait_for_function(
        """before => {
            const told = document.querySelector('#instances-facts').innerText.trim();
            return /^[0-9]+ instances/.test(told) && told != before.trim();
        }""",
        arg=before,
    )


def picture(page, place):
    """What stands in an image of the page now."""
    return page.get_attribute(f"{place} img", "src")


def download(page, place, suffix):
    with page.expect_download() as wanted:
        page.click(f"{place} a[href*='{suffix}']")
    return Path(wanted.value.path())


def tab(page, name):
    page.get_by_role("tab", name=name).click()


def set_slider(page, place, value):
    page.fill(f"{place} input[type=number]", str(value))
    page.press(f"{place} input[type=number]", "Enter")


def test_the_first_photograph_has_its_edges_and_nothing_is_fetched_from_elsewhere(window):
    assert "cat: 451 x 300 px" in window.inner_text("#facts")
    window.wait_for_selector("#compared img")
    before = picture(window, "#edges-alone")
    set_slider(window, "#threshold", 0.4)
    window.wait_for_function(
        "before => document.querySelector('#edges-alone img').src != before", arg=before
    )
    window.click("#save-edges")
    window.wait_for_selector("#edges-files a[href*='.npz']")
    found = EdgeMap.load(download(window, "#edges-files", ".npz"))
    assert found.edges.shape == (1, 300, 451)
    drawn = np.asarray(Image.open(download(window, "#edges-files", ".png")))
    assert drawn.shape == (300, 451)
    strong = drawn[drawn > 0]
    assert strong.size
    assert strong.min() >= 0.4 * 255 - 1
    assert window.requested
    assert all(url.startswith(("http://127.0.0.1:", "data:", "blob:")) for url in window.requested)


def test_instances_follow_the_slider_and_clicks_and_become_a_coco_file(window):
    coco = pytest.importorskip("pycocotools.coco")
    tab(window, "Instances")
    window.wait_for_selector("#instances img")
    counts = []
    wait_for_instances(window, "")
    for strength in (0.02, 0.3):  # neither is the one that it begins with
        told = window.inner_text("#instances-facts")
        set_slider(window, "#strength", strength)
        wait_for_instances(window, told)
        counts.append(int(window.inner_text("#instances-facts").split()[0]))
    assert counts[0] > counts[1] >= 1
    window.get_by_label("split").check()
    window.click("#instances img", position={"x": 200, "y": 200})
    wait(window, "#instances-facts", f"{counts[1] + 1} instances")
    window.get_by_label("delete").check()
    window.click("#instances img", position={"x": 200, "y": 200})
    wait(window, "#instances-facts", f"{counts[1]} instances")
    window.click("#undo")
    wait(window, "#instances-facts", f"{counts[1] + 1} instances")
    window.click("#save-instances")
    window.wait_for_selector("#instances-files a[href*='.json']")
    read = coco.COCO(str(download(window, "#instances-files", ".json")))
    assert len(read.anns) == counts[1] + 1
    assert [image["width"] for image in read.imgs.values()] == [451]
    assert sum(int(read.annToMask(one).sum()) for one in read.anns.values()) == 300 * 451


def test_a_click_shows_where_that_place_looks_at_every_step(window):
    tab(window, "Attention")
    window.click("#read-attention")
    wait(window, "#attention-facts", "11 steps on a grid of 26 x 39")
    window.wait_for_selector("#curve img")
    seen = {picture(window, "#looked")}
    for act in (
        lambda: window.click("#looked img", position={"x": 40, "y": 60}),
        lambda: window.click("#curve img", position={"x": 200, "y": 60}),  # another step
        lambda: set_slider(window, "#down", 90),  # by the keyboard
    ):
        act()
        window.wait_for_function(
            "seen => !seen.includes(document.querySelector('#looked img').src)", arg=list(seen)
        )
        seen.add(picture(window, "#looked"))
    assert len(seen) == 4
    window.click("#read-attention")  # again, and given up
    wait(window, "#attention-facts", "Step")
    window.click("#cancel-attention")
    wait(window, "#attention-facts", "Given up")


def test_people_do_not_see_each_others_images(browser, folder_page, window, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)).save(
        tmp_path / "mine.png"
    )
    window.set_input_files("#upload input[type=file]", tmp_path / "mine.png")
    wait(window, "#facts", "mine: 60 x 40 px")
    context = browser.new_context()
    other = context.new_page()
    other.set_default_timeout(LONG)
    other.goto(folder_page)
    wait(other, "#facts", "cat")
    assert "mine" not in other.content()
    assert "mine" in window.inner_text("#facts")
    context.close()


def test_edges_of_the_image_before_are_not_saved_as_those_of_the_next(
    browser, folder_page, window, tmp_path
):
    """While another person has the model."""
    values = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(values).save(tmp_path / "mine.png")
    context = browser.new_context()
    other = context.new_page()
    other.set_default_timeout(LONG)
    other.goto(folder_page)
    wait(other, "#edges-facts", "ridges")
    other.get_by_label("training-free").click()
    other.click("#find-edges")
    wait(other, "#edges-facts", "Read the attention")
    window.set_input_files("#upload input[type=file]", tmp_path / "mine.png")
    wait(window, "#facts", "mine: 60 x 40 px")
    window.click("#save-edges")
    wait(window, "body", "find edges first")
    assert window.locator("a[href*='mine.edges.png']").count() == 0
    context.close()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [("a.png", b"no image at all", "a.png"), ("huge.jpg", bytes(65 << 20), "64")],
)
def test_what_cannot_be_used_is_said_in_one_line(window, tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    window.set_input_files("#upload input[type=file]", tmp_path / name)
    window.wait_for_function(
        "told => [...document.querySelectorAll('[role=alert], .toast-body, .error')]"
        ".some(one => one.innerText.includes(told))",
        arg=told,
    )
    assert "cat" in window.inner_text("#facts")  # what was there before


def test_every_control_has_a_name(window):
    for name in ("Instances", "Attention", "Words", "Edges"):
        tab(window, name)
        nameless = window.evaluate(
            """() => [...document.querySelectorAll('button, input, textarea, [role=tab]')]
            .filter(one => one.offsetParent && one.type != 'file')
            .filter(one => !(one.innerText?.trim() || one.ariaLabel || one.title
                             || one.labels?.[0]?.innerText.trim()
                             || one.getAttribute('aria-labelledby')
                             || one.querySelector('img[alt]:not([alt=""])')))
            .map(one => one.outerHTML.slice(0, 160))"""
        )
        assert nameless == []


def test_words_of_a_prompt_random_weights(browser, serve, tiny_model, tiny_texts):
    address = serve("--backbone", tiny_model("sd15", **tiny_texts("sd15")))
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(LONG)
    page.goto(address)
    tab(page, "Words")
    page.fill("#prompt textarea, #prompt input", "two cats")
    set_slider(page, "#steps", 4)
    page.click("#make")
    wait(page, "#words-facts", "t* =")
    page.wait_for_selector("#sheet img")
    context.close()
