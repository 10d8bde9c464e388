"""Kernels are used where they can run; where one fails, PyTorch does the same, said once."""

import subprocess
import sys
from contextlib import contextmanager, nullcontext

import pytest
import torch

from trace_edges.attention import fused, maps
from trace_edges.attention.maps import add_head_mean, add_head_mean_blocks
from trace_edges.attention.tiles import Card
from trace_edges.loading import Loading
from trace_edges.training_free import divergence

triton = pytest.importorskip("triton", reason='pip install "trace-edges[fast]"')

from triton.compiler.errors import CompilationError  # noqa: E402
from triton.runtime.errors import OutOfResources, PTXASError  # noqa: E402

from trace_edges.attention import kernels  # noqa: E402


@pytest.fixture(autouse=True)
def anew(monkeypatch):
    """No kernel has failed, and a CPU counts as a device where they can run."""
    monkeypatch.setattr(fused, "_failed", set())
    monkeypatch.setattr(fused, "_switched_off", False)
    monkeypatch.delenv(fused.SWITCH, raising=False)
    usable = fused._usable
    monkeypatch.setattr(fused, "_usable", lambda device: usable(torch.device("cuda")))


class FakeKernel:
    """Stands for a compiled kernel: counts its launches, and may fail."""

    def __init__(self, error=None):
        self.error, self.launches = error, 0

    def __getitem__(self, grid):
        return self

    def __call__(self, *arguments, **options):
        self.launches += 1
        if self.error is not None:
            raise self.error


FAILURES = [
    OutOfResources(131072, 101376, "shared memory"),
    CompilationError("source", None, "planted"),
    PTXASError("planted"),
    RuntimeError("Failed to find C compiler. Please specify via CC environment variable"),
    subprocess.CalledProcessError(1, ["gcc"]),
    FileNotFoundError("ptxas"),
    PermissionError("~/.triton"),
    ImportError("libcuda.so.1: cannot open shared object file"),
    AssertionError("libcuda.so cannot found!"),
]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("failing", ["_log_sums", "_add_mean"])
def test_a_fake_kernel_that_fails_is_replaced_once_with_one_line(
    monkeypatch, caplog, error, failing
):
    """Also the second, when the first has run: the map is right, and nothing is added twice."""
    planted = {name: FakeKernel() for name in ("_log_sums", "_add_mean")}
    planted[failing].error = error
    for name, kernel in planted.items():
        monkeypatch.setattr(kernels, name, kernel)
    q, k = torch.randn(1, 2, 6, 8), torch.randn(1, 2, 6, 8)
    total = torch.rand(1, 6, 6)
    expected = total.clone()
    for _ in range(3):
        add_head_mean(total, q, k, 0.5)
        add_head_mean_blocks(expected, q, k, 0.5)
    assert torch.equal(total, expected)
    assert planted[failing].launches == 1
    [record] = caplog.records
    said = record.getMessage()
    assert "\n" not in said
    assert type(error).__name__ in said
    assert "--no-kernels" in said


def test_a_fake_divergence_that_fails_is_replaced(monkeypatch, caplog):
    monkeypatch.setattr(kernels, "_kl_of_row", FakeKernel(PTXASError("planted")))
    p = torch.softmax(torch.randn(1, 6, 6), -1)
    rows = torch.arange(5), torch.arange(1, 6)
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    monkeypatch.setattr(kernels, "on_device", nullcontext)
    found = divergence.kl_between_rows(p, p, rows)
    expected = divergence.kl_divergence(p[:, rows[0]], p[:, rows[1]])
    torch.testing.assert_close(found, expected)
    assert len(caplog.records) == 1


def test_a_kernel_that_fails_does_not_stop_another(monkeypatch):
    working = FakeKernel()
    monkeypatch.setattr(kernels, "_log_sums", FakeKernel(RuntimeError("planted")))
    monkeypatch.setattr(kernels, "_kl_of_row", working)
    q = torch.randn(1, 2, 6, 8)
    add_head_mean(torch.zeros(1, 6, 6), q, q, 0.5)
    rows = torch.arange(6)
    assert fused.launch("kl_between_rows_fused", q[0], q[0], rows, rows, 1e-9) is not None
    assert working.launches == 1


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("planted"), KeyboardInterrupt()])
def test_what_is_no_failure_of_triton_goes_on(monkeypatch, error):
    monkeypatch.setattr(kernels, "_log_sums", FakeKernel(error))
    q = torch.randn(1, 2, 6, 8)
    with pytest.raises(type(error)):
        add_head_mean(torch.zeros(1, 6, 6), q, q, 0.5)
    assert not fused._failed


@pytest.mark.parametrize("how", ["0", "off", "option", "api"])
def test_kernels_can_be_switched_off(monkeypatch, how):
    untouched = FakeKernel()
    monkeypatch.setattr(kernels, "_log_sums", untouched)
    if how == "option":
        _ = Loading(device="cpu", no_kernels=True).placement
    elif how == "api":
        fused.switch_off()
    else:
        monkeypatch.setenv(fused.SWITCH, how)
    q, total = torch.randn(1, 2, 6, 8), torch.zeros(1, 6, 6)
    add_head_mean(total, q, q, 0.5)
    assert untouched.launches == 0
    torch.testing.assert_close(total.sum(-1), torch.ones(1, 6))


def test_kernels_run_on_the_tensors_device_with_a_mocked_guard(monkeypatch):
    """`--device cuda:1`: Triton takes the current device, which must be the tensor's meanwhile."""
    entered = []

    @contextmanager
    def fake_guard(device):
        entered.append(device)
        yield
        entered.pop()

    class Watching(FakeKernel):
        def __call__(self, *arguments, **options):
            super().__call__()
            assert entered == [torch.device("cpu")]

    watching = [Watching() for _ in range(3)]
    for name, kernel in zip(("_log_sums", "_add_mean", "_kl_of_row"), watching, strict=True):
        monkeypatch.setattr(kernels, name, kernel)
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    monkeypatch.setattr(torch.cuda, "device", fake_guard)
    q, total = torch.randn(1, 2, 6, 8), torch.zeros(1, 6, 6)
    kernels.add_head_mean_fused(total, q, q, 0.5)
    kernels.kl_between_rows_fused(total, total, torch.arange(6), torch.arange(6), 1e-9)
    assert [one.launches for one in watching] == [1, 1, 1]


def test_a_faked_t4_multiplies_in_float32(monkeypatch):
    kinds = []

    class Watching(FakeKernel):
        def __call__(self, *arguments, **options):
            kinds.extend(one.dtype for one in arguments if getattr(one, "ndim", 0) == 4)

    for name in ("_log_sums", "_add_mean"):
        monkeypatch.setattr(kernels, name, Watching())
    monkeypatch.setattr(kernels, "card_of", lambda device: Card(75, 64 << 10))
    q = torch.randn(1, 2, 6, 8).half()
    kernels.add_head_mean_fused(torch.zeros(1, 6, 6), q, q, 0.5)
    assert kinds == [torch.float32] * 4


def test_nothing_is_tried_on_other_devices(monkeypatch):
    monkeypatch.undo()  # a CPU is a CPU again
    assert not fused._usable(torch.device("cpu"))
    assert not fused._usable(torch.device("mps"))
    assert maps.launch("add_head_mean_fused", torch.zeros(1)) is None


def test_without_a_driver_one_line_is_said_and_the_map_is_right(tmp_path):
    """The real launch, on a computer without a driver: what Triton raises there is caught."""
    code = (
        "import torch; from trace_edges.attention import fused, maps\n"
        "fused._usable = lambda device: True\n"
        "q, total = torch.randn(1, 2, 6, 8), torch.zeros(1, 6, 6)\n"
        "maps.add_head_mean(total, q, q, 0.5); maps.add_head_mean(total, q, q, 0.5)\n"
        "assert (total.sum(-1) - 2).abs().max() < 1e-5"
    )
    if torch.cuda.is_available():
        pytest.skip("the kernels would run")
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "add_head_mean_fused does not run here" in ended.stderr
