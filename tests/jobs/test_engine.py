"""The engine itself: the order of outcomes, images that fail, and what a task is given."""

import io
import threading

import pytest
import torch
from PIL import Image

from trace_edges.edge_folder import EdgeFolder
from trace_edges.images import read_image
from trace_edges.jobs import engine, memory
from trace_edges.jobs.engine import Engine, Prepare, stretches_of
from trace_edges.jobs.entries import Item
from trace_edges.jobs.places import PathPlace
from trace_edges.jobs.task import Result, Task, TaskError

from .conftest import FakeSource, png


class Shapes(Task):
    """Notes what it is given; refuses the image called odd."""

    name = "shapes"
    wants_image = True

    def __init__(self):
        self.given = {}

    def describe(self):
        return {}

    def __call__(self, subject):
        if subject.key == "odd":
            raise TaskError("odd: is refused")
        self.given[subject.key] = subject.image.shape[:2], subject.smooth.shape
        return Result(record={"sum": float(subject.thin.sum())})


def run(tmp_path, contents, batch_size=1):
    items = []
    for position, (name, content) in enumerate(contents.items()):
        (tmp_path / f"{name}.png").write_bytes(content)
        path = str(tmp_path / f"{name}.png")
        items.append(Item(position, name, PathPlace(path), path))
    task = Shapes()
    keep = lambda item, result, facts: dict(result.record, height=facts.height)  # noqa: E731
    engine = Engine(FakeSource([]), None, task, keep, batch_size)
    return task, list(engine.alone(stretches_of(items, batch_size)))


def test_outcomes_come_in_the_order_of_the_images(tmp_path):
    broken = png(1)[:40]
    contents = {"a": broken, "b": png(2), "odd": png(3), "d": broken, "e": png(5)}
    _, outcomes = run(tmp_path, contents)
    assert [one.key for one in outcomes] == list(contents)
    assert [one.state for one in outcomes] == ["failed", "done", "failed", "failed", "done"]
    assert outcomes[0].message.startswith(str(tmp_path / "a.png"))
    assert outcomes[2].message == "odd: is refused"
    assert outcomes[1].record["height"] == 24


def test_a_task_is_given_the_image_as_it_is(tmp_path):
    """The source reads it at 64 px; the task gets it, and its edges, at its own size."""
    task, _ = run(tmp_path, {"wide": png(1, width=96, height=24)})
    assert task.given == {"wide": ((24, 96), (24, 96))}


class Failing(FakeSource):
    """Runs out of memory over two images, and over the one whose corner is dark."""

    def __init__(self, error):
        super().__init__([])
        self.error = error

    def read(self, batch, settings, **options):
        if len(batch) > 1 or batch[0].image[0, 0, 0] < 50:
            raise self.error
        return super().read(batch, settings, **options)


def test_an_image_too_large_to_be_drawn_is_refused_and_the_small_ones_are_done(
    tmp_path, monkeypatch
):
    """100 kB are free: enough for 24 x 32 px at 48 bytes each, and not for 480 x 480."""
    monkeypatch.setattr(memory, "free", lambda: 100_000)
    contents = {"a": png(1), "large": png(2, width=480, height=480), "z": png(3)}
    _, outcomes = run(tmp_path, contents, batch_size=3)
    assert [(one.key, one.state) for one in outcomes if one.state == "failed"] == [
        ("large", "failed")
    ]
    (message,) = (one.message for one in outcomes if one.message)
    assert "large.png: its 480 x 480 px need about 0.0 GiB of memory" in message


def test_large_images_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    """Two workers on 480 x 480 px at 23 bytes each take 10.6 MB, of which 10 are free."""
    monkeypatch.setattr(memory, "free", lambda: 10_000_000)
    begun, release = threading.Event(), threading.Event()
    decoded = []

    def slow(content):
        decoded.append(threading.current_thread().name)
        begun.set()
        release.wait(60)
        return read_image(content)

    monkeypatch.setattr(engine, "read_image", slow)
    (tmp_path / "large.png").write_bytes(png(2, width=480, height=480))
    item = Item(0, "large", PathPlace(str(tmp_path / "large.png")), "large.png")
    prepare = Prepare(FakeSource([]).preparation(None), workers=2)
    threads = [threading.Thread(target=prepare, args=((0, item),), name=name) for name in "ab"]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    threads[1].join(0.3)
    assert decoded == ["a"]  # the other waits
    release.set()
    for thread in threads:
        thread.join(60)
    assert decoded == ["a", "b"]


def test_other_errors_of_a_source_are_not_taken_for_a_lack_of_memory(tmp_path):
    (tmp_path / "3.png").write_bytes(png(0))
    item = Item(0, "3", PathPlace(str(tmp_path / "3.png")), "3.png")
    engine = Engine(Failing(RuntimeError("shapes differ")), None, Shapes(), lambda *_: {})
    with pytest.raises(RuntimeError, match="shapes differ"):
        list(engine.alone([[item]]))


LACKS = (
    ValueError("out of memory: take a smaller resolution"),
    MemoryError("no memory"),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"),
)


@pytest.mark.parametrize("error", LACKS, ids=lambda one: type(one).__name__)
def test_a_batch_that_is_too_much_is_read_singly(tmp_path, error):
    items = []
    for position, number in enumerate((0, 3, 4)):  # the grey behind the square is 40, 61 and 68
        path = tmp_path / f"{number}.png"
        path.write_bytes(png(number))
        items.append(Item(position, str(number), PathPlace(str(path)), path.name))
    engine = Engine(Failing(error), None, Shapes(), lambda *_: {}, batch_size=3)
    outcomes = {one.key: one for one in engine.alone(stretches_of(items, 3))}
    assert {key: one.state for key, one in outcomes.items()} == {
        "0": "failed", "3": "done", "4": "done",
    }  # fmt: skip
    assert outcomes["0"].message == f"0.png: {error}"


def test_one_image_without_stored_edges_does_not_take_its_batch_along(tmp_path):
    (tmp_path / "edges").mkdir()
    for name in ("a", "c"):
        (tmp_path / "edges" / f"{name}.png").write_bytes(grey_png())
    source = EdgeFolder(tmp_path / "edges")
    items = [Item(position, name, None, name) for position, name in enumerate("abc")]
    engine = Engine(source, source.default, Sums(), lambda *_: {}, batch_size=3)
    outcomes = list(engine.alone(stretches_of(items, 3)))
    states = {one.key: one.state for one in outcomes}
    assert states == {"a": "done", "b": "failed", "c": "done"}
    (message,) = (one.message for one in outcomes if one.message)
    assert "holds no edge map of b" in message


class Sums(Task):
    """Asks for edges alone."""

    name = "sums"

    def describe(self):
        return {}

    def __call__(self, subject):
        return Result(record={"sum": float(subject.thin.sum())})


def grey_png():
    content = io.BytesIO()
    Image.new("L", (8, 6), 200).save(content, "PNG")
    return content.getvalue()
