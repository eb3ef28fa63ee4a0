"""Small runs that several files look at."""

import pytest
from made_shards import texture, write_shard
from runs import maker, run

BOXES = {"boxes": [[4, 4, 40, 40], [20, 6, 60, 44]], "width": 64, "height": 48}


@pytest.fixture(scope="session")
def shard(tmp_path_factory):
    members = {}
    for number in range(6):
        members |= {f"{number}.png": texture(number), f"{number}.json": BOXES}
    return write_shard(tmp_path_factory.mktemp("set") / "a.tar", members)


@pytest.fixture
def config(shard, tmp_path):
    return maker(shard, tmp_path)


@pytest.fixture(scope="session")
def whole(shard, tmp_path_factory):
    """A run that nobody broke."""
    unbroken = maker(shard, tmp_path_factory.mktemp("whole"))()
    assert run(unbroken) == [1, 2, 3, 4, 5, 6]
    return unbroken
