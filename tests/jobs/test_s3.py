"""A job on a store that speaks S3: moto's server on this machine, and s3fs as users have it."""

from dataclasses import replace

import fsspec
import pytest

from trace_edges.errors import FileError
from trace_edges.jobs import EdgesTask, InstancesTask, Job, annotate, make_sink, open_source, stores
from trace_edges.jobs.remote import read_bytes, write_bytes
from trace_edges.jobs.stores import StoreError, kind_of

from .conftest import FakeModel, png

s3fs = pytest.importorskip("s3fs", reason='pip install "trace-edges[s3]"')
moto_server = pytest.importorskip("moto.server", reason="pip install 'moto[s3]' flask flask-cors")


@pytest.fixture(scope="module")
def server():
    running = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def s3(server, monkeypatch):
    """Credentials and endpoint as users set them; a bucket with three images and a text."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "fake", "AWS_SECRET_ACCESS_KEY": "fake", "AWS_ENDPOINT_URL": server,
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(stores, "PAUSE", 0.001)
    s3fs.S3FileSystem.clear_instance_cache()
    system = fsspec.filesystem("s3")
    system.mkdir("photos")
    for number in range(3):
        system.pipe_file(f"photos/set/{number}.png", png(number))
    system.pipe_file("photos/set/broken.png", b"text")
    yield system
    system.rm("photos", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


def job(tmp_path, to, dest="s3://photos/out", source="s3://photos/set"):
    task = EdgesTask()
    sink = make_sink(dest, to, task, part=2)
    options = {"workers": 0, "state": tmp_path / to}
    return Job(open_source(source), task, sink, FakeModel(), dest, **options)


@pytest.mark.parametrize("to", ["folder", "tar", "parquet"])
def test_a_job_from_a_bucket_to_a_bucket(s3, tmp_path, to):
    status = annotate(job(tmp_path, to))
    assert (status.open, status.done, status.failed) == (0, 3, 1)
    assert b"broken.png: is not a JPEG" in read_bytes("s3://photos/out/report.csv")
    found = {one.removeprefix("photos/out/") for one in s3.find("photos/out")}
    parts = {f"part-00000{number}.{to}" for number in range(2)}
    files = {f"{number}.{end}" for number in range(3) for end in ("edges.png", "json")}
    assert found == (files if to == "folder" else parts) | {"report.csv"}
    assert annotate(job(tmp_path, to)).now == 0


@pytest.mark.parametrize("source", ["s3://photos/set", "s3://photos/set/*.png"])
def test_an_image_that_somebody_replaced_is_told(s3, tmp_path, source):
    annotate(job(tmp_path, "folder", source=source))
    other = s3fs.S3FileSystem(skip_instance_cache=True)  # not what this process reads through
    other.pipe_file("photos/set/1.png", png(1))  # again
    assert annotate(job(tmp_path, "folder", source=source)).done == 3
    other.pipe_file("photos/set/1.png", png(77))
    status = annotate(job(tmp_path, "folder", source=source))
    assert (status.done, status.failed, status.now, status.doubts) == (2, 2, 0, ())
    assert b"1.png: the image has changed" in read_bytes("s3://photos/out/report.csv")


def test_what_is_not_there_is_named(s3, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file, folder or bucket"):
        read_bytes("s3://photos/set/none.png")
    with pytest.raises(OSError, match=r"s3://nowhere/out/\.annotate-probe"):
        annotate(job(tmp_path, "folder", dest="s3://nowhere/out"))
    with pytest.raises(ValueError, match=r"s3://nowhere/set/.*: there is no such file or folder"):
        annotate(job(tmp_path, "tar", source="s3://nowhere/set/{0..3}.tar"))
    assert kind_of("s3://photos/none") is None


def test_without_credentials_one_line_says_so(s3, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match=r"s3://photos/a: the store takes no credentials"):
        write_bytes("s3://photos/a", b"x")
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "fake")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "fake")


def test_an_endpoint_that_is_not_there_is_named(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match=r"s3://photos/set: .*127\.0\.0\.1:9.*asked 4 times"):
        kind_of("s3://photos/set")


def test_what_is_there_and_not_ours_stays_as_it_is(s3, tmp_path):
    s3.pipe_file("photos/out/1.json", b"of the user")
    status = annotate(job(tmp_path, "folder"))
    assert (status.done, status.failed) == (2, 2)
    line = "s3://photos/out/1.json was not written by trace-edges annotate, and is not replaced"
    assert line in read_bytes("s3://photos/out/report.csv").decode()
    assert s3.cat_file("photos/out/1.json") == b"of the user"
    s3.rm("photos/out/1.json")
    again = job(tmp_path, "folder")
    status = annotate(replace(again, retry=True))  # which replaces the report, which is its own
    assert (status.done, status.failed) == (3, 1)
    assert b"1.json" not in read_bytes("s3://photos/out/report.csv")


@pytest.mark.parametrize(
    ("to", "name"), [("folder", "report.csv"), ("coco", "instances.json"), ("tar", "report.csv")]
)
def test_lists_that_are_not_ours_are_named_before_the_model_is_loaded(s3, tmp_path, to, name):
    s3.pipe_file(f"photos/out/{name}", b"of the user")
    task = InstancesTask() if to == "coco" else EdgesTask()
    sink = make_sink("s3://photos/out", to, task)
    begun = replace(job(tmp_path, "folder"), task=task, sink=sink, model=None)
    with pytest.raises(FileError, match=rf"{name} was not written by trace-edges annotate"):
        annotate(begun)
    assert s3.find("photos/out") == [f"photos/out/{name}"]
    assert s3.cat_file(f"photos/out/{name}") == b"of the user"


def test_a_part_that_is_not_ours_stays_and_its_results_are_kept(s3, tmp_path):
    s3.pipe_file("photos/out/part-000000.tar", b"of the user")
    with pytest.raises(FileError, match=r"part-000000\.tar was not written"):
        annotate(job(tmp_path, "tar"))
    assert s3.cat_file("photos/out/part-000000.tar") == b"of the user"
    s3.rm("photos/out/part-000000.tar")
    annotate(job(tmp_path, "tar"))
    assert len(s3.cat_file("photos/out/part-000000.tar")) > 1000


def test_what_another_machine_of_the_job_wrote_is_no_obstacle(s3, tmp_path):
    """Of a killed run a result is there, and the list that names it lies on another machine."""
    annotate(job(tmp_path, "folder"))
    before = s3.cat_file("photos/out/1.edges.png")
    (tmp_path / "elsewhere").mkdir()
    s3.rm("photos/out/report.csv")
    moved = replace(job(tmp_path, "folder"), state=tmp_path / "elsewhere")
    assert annotate(moved).done == 3
    assert s3.cat_file("photos/out/1.edges.png") == before
