"""Tests that need a CUDA device; `pytest -m gpu` runs them, elsewhere they are skipped."""

from pathlib import Path

import pytest
import torch


def pytest_collection_modifyitems(items):
    absent = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.gpu)
            if not torch.cuda.is_available():
                item.add_marker(absent)


@pytest.fixture
def gpu():
    """The device: the last one, so that one that is not the current device is seen where there are
    several.
    """
    return torch.device("cuda", torch.cuda.device_count() - 1)
