"""Where a model goes and what it computes in, from the command line."""

import pytest
import torch
import typer

from liveedit.cli.common import Dtype, placed


@pytest.mark.parametrize(
    ("device", "dtype", "expected"),
    [
        ("cpu", Dtype.auto, {"device": "cpu"}),
        ("cpu", Dtype.float16, {"device": "cpu", "dtype": torch.float16}),
        ("auto", Dtype.bfloat16, {"device_map": "auto", "dtype": torch.bfloat16}),
    ],
)
def test_options_become_what_loading_takes(device, dtype, expected) -> None:
    assert placed(device, dtype) == expected


@pytest.mark.parametrize("device", ["cuda:99", "cpv", ""])
def test_a_device_that_is_not_there_is_named(device) -> None:
    with pytest.raises(typer.BadParameter, match="cannot be used here"):
        placed(device, Dtype.auto)
