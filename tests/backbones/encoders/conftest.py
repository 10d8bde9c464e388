"""Folders of tiny random encoders."""

import pytest
import torch

from .tiny import KINDS


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def saved(tmp_path):
    """A function that writes the folder of a random model."""

    def write(kind, **options):
        torch.manual_seed(0)
        model = KINDS[kind]()
        with torch.no_grad():  # as after training, no norm is the identity and no bias zero
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.05)
        model.save_pretrained(tmp_path / kind, **options)
        return tmp_path / kind

    return write
