"""What killed processes leave beside a file is removed, and nothing else."""

from vidcolor.io.target import Target, remove_left_behind


def test_what_a_killed_process_left_is_removed(tmp_path):
    path = tmp_path / "a [1].mkv"
    left = [Target(path, overwrite=False).temporary for _ in range(2)]
    others = [
        tmp_path / name
        for name in (
            "a [1].mkv",
            ".a [1].partial-12345678.mp4",  # of another film
            ".a 1.partial-12345678.mkv",
            ".a [1].partial-1234567g.mkv",
            "a [1].partial.mkv",  # what --keep-partial keeps
        )
    ]
    for other in others:
        other.write_bytes(b"x")
    folder = tmp_path / ".a [1].partial-abcdef01.mkv"
    folder.mkdir()
    remove_left_behind(path)
    assert not any(one.exists() for one in left)
    assert all(other.exists() for other in [*others, folder])


def test_the_same_for_names_too_long_for_a_temporary_one(tmp_path):
    path, other = (tmp_path / f"{'x' * 240}{end}.mkv" for end in "ab")
    left, kept = Target(path, overwrite=False).temporary, Target(other, overwrite=False).temporary
    remove_left_behind(path)
    assert not left.exists()
    assert kept.exists()


def test_a_link_to_a_film_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    path = tmp_path / "a.mkv"
    path.symlink_to(tmp_path / "disk" / "b.mkv")
    left = Target(path, overwrite=False).temporary
    assert left.parent == tmp_path / "disk"
    remove_left_behind(path)
    assert not left.exists()
