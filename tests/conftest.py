"""What all tests share. `media` makes films; import it by that name."""

import cv2
import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Tests run beside each other; one thread each is fastest."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
