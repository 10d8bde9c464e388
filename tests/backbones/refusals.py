"""Functions that fail, and what is said then."""

import pytest

from trace_edges.backbones import BackboneError


def fails_with(error):
    def fail(*_, **__):
        raise error

    return fail


def message_of(function, *arguments, **options):
    with pytest.raises(BackboneError) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
