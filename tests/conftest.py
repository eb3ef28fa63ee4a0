"""What all tests share. `media` makes films; import it by that name."""

import os

import cv2
import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Tests run beside each other; one thread each is fastest."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@pytest.fixture(autouse=True)
def usual_priority():
    """SVT-AV1 takes real-time priority where it may, and what is started later inherits it.

    A browser that waits in the kernel for its own dying processes then keeps all others from
    running.
    """
    yield
    if hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
