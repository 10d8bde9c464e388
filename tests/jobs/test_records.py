"""Results of an image and their record: written together, whoever else writes there."""

import json
import os
import threading

from trace_edges.jobs import records as module
from trace_edges.jobs.entries import Item
from trace_edges.jobs.places import PathPlace
from trace_edges.jobs.records import Records, identity, is_of
from trace_edges.jobs.task import Facts, Result
from trace_edges.outputs import Outputs

from .conftest import png


def test_two_runs_do_not_mix_their_results(tmp_path, monkeypatch):
    """The first is stopped between edges and record; the second must wait until both are there."""
    (tmp_path / "a.png").write_bytes(png(1))
    begun, release = threading.Event(), threading.Event()
    write = module.write_json

    def slow(record, path, **options):
        begun.set()
        release.wait(60)
        write(record, path, **options)

    monkeypatch.setattr(module, "write_json", slow)

    def run(who):
        outputs = Outputs("detect")
        keep = Records(tmp_path / "out", ("npy",), {}, {}, lambda *_: {"by": who}, outputs)
        item = Item(0, "a", PathPlace(str(tmp_path / "a.png")), "a.png")
        keep(item, Result(files={"npy": who.encode()}), Facts(24, 32, 7, None, {}, 0.1))

    first, second = (threading.Thread(target=run, args=(who,)) for who in ("first", "second"))
    first.start()
    assert begun.wait(60)
    second.start()
    second.join(0.3)
    assert (tmp_path / "out/a.npy").read_bytes() == b"first"
    release.set()
    first.join(60)
    second.join(60)
    assert (tmp_path / "out/a.npy").read_bytes() == b"second"
    assert json.loads((tmp_path / "out/a.json").read_bytes())["by"] == "second"


def test_another_image_of_the_same_length_and_time_is_another(tmp_path):
    """As of uncompressed images in an archive, which gives all its files one time."""
    photo, other = tmp_path / "a.bmp", tmp_path / "b.bmp"
    photo.write_bytes(b"one picture")
    known = identity(photo)
    assert is_of(known, photo)
    other.write_bytes(b"two picture")
    os.utime(other, ns=(known["modified_ns"],) * 2)
    assert not is_of(known, other)
    other.write_bytes(b"one picture")  # a copy
    assert is_of(known, other)
