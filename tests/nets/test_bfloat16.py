"""The wrapper that runs a network in bfloat16."""

import copy
import pickle

import pytest
import torch
from refusals import refusal

from lop.nets.bfloat16 import Bfloat16
from lop.nets.ffnn import FFNN


def pickled(value):
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_copies_predict_the_same(copied):
    torch.manual_seed(0)
    original = Bfloat16(FFNN(input_size=4, num_features=8, num_outputs=3))
    copy_of_it = copied(original)
    assert (copy_of_it.net is original.net) == (copied is copy.copy)
    x = torch.randn(5, 4)
    output, features = original.predict(x)
    copied_output, copied_features = copy_of_it.predict(x)
    assert torch.equal(copied_output, output)
    assert torch.equal(copied_features[0], features[0])


def test_hidden_activations_are_bfloat16_and_outputs_float32():
    output, features = Bfloat16(FFNN(input_size=4, num_features=8, num_outputs=3)).predict(torch.randn(5, 4))
    assert output.dtype == torch.float32
    assert {h.dtype for h in features} == {torch.bfloat16}


def test_other_attributes_are_forwarded_to_the_network():
    net = FFNN(input_size=4, num_features=8, num_outputs=3)
    assert Bfloat16(net).layers is net.layers
    with refusal("FFNN", "no_such_name", error=AttributeError):
        _ = Bfloat16(net).no_such_name
