import itertools
import resource
import tracemalloc
from dataclasses import replace
from fractions import Fraction

import av
import pytest
from media import main_picture, make_video, paint

from vidcolor.errors import MediaError
from vidcolor.io.encode import OutputConfig
from vidcolor.io.film_part import FilmPart
from vidcolor.io.input_config import InputConfig
from vidcolor.io.segment_file import SegmentFile, read_packets, read_segment
from vidcolor.io.segment_order import DecodeTimes, Passage
from vidcolor.io.segment_writer import Piece, SegmentWriter
from vidcolor.io.segments import DamagedSegment, SegmentStore
from vidcolor.io.video import VideoReader

FFV1 = OutputConfig("ffv1")
EDGES = (0, 4, 5, 12)


def write(store: SegmentStore, source, edges=EDGES, frames=None, names=None) -> list[str]:
    """A segment for each part between two edges; `names`: told only when it ends."""
    pieces = [
        Piece(f"k{n}", n, (frames or {}).get(n, b - a))
        for n, (a, b) in enumerate(itertools.pairwise(edges))
    ]
    part = FilmPart(edges[0], edges[-1] - edges[0], dict.fromkeys(edges[:-1]))
    with (
        VideoReader(source, InputConfig(batch_size=3), part) as reader,
        SegmentWriter(store) as writer,
    ):
        for batch in reader:
            shot = next(n for n, b in enumerate(edges[1:]) if batch.index < b)
            if batch.index == edges[shot]:
                before = names[shot - 1] if names and shot else None
                writer.begin(pieces[shot], before=before)
            writer.write(paint(replace(batch, shot=shot)))
        writer.key = names[-1] if names else None
    return [piece.key for piece in pieces]


@pytest.fixture
def film(tmp_path):
    return make_video(tmp_path / "a.mkv", sound=("flac",))


def store_for(film, config=FFV1, name="b.mkv") -> SegmentStore:
    with VideoReader(film.path) as reader:
        info = reader.info
    folder = film.path.parent / "parts"
    return SegmentStore(folder, film.path.parent / name, info, config)


def test_cards_say_what_is_there(film) -> None:
    store = store_for(film, OutputConfig("h264"))
    keys = write(store, film.path)
    for key, (a, b) in zip(keys, itertools.pairwise(EDGES), strict=True):
        card = store.find(key)
        assert (card.first, card.last, card.frames) == (40 * a, 40 * (b - 1), b - a)
        packets = list(read_packets(store.path(key)))
        assert sorted(pts for pts, _, _ in packets) == [40 * p for p in film.pts[a:b]]
        assert packets[0][1] is True
        assert b - a < 7 or card.reorder == 1  # x264 makes B-frames of so long a shot


def test_names_may_be_told_when_segments_end(film) -> None:
    store = store_for(film)
    assert not store.holds("")  # nor is there a folder
    keys = write(store, film.path)
    want = [read_segment(store.path(key)) for key in keys]
    store.prune(())
    assert not store.holds("k")
    names = ["run-x", "run-y", "run-z"]
    write(store, film.path, names=names)
    assert sorted(path.name for path in store.folder.iterdir()) == [
        "run-x.segment", "run-y.segment", "run-z.segment",
    ]  # fmt: skip
    assert [store.find(name) for name in names] == [
        replace(card, key=name) for card, name in zip(want, names, strict=True)
    ]
    assert store.holds("run-")
    assert not store.holds("k")


def test_what_is_not_finished_is_not_held(film) -> None:
    store = store_for(film)
    store.folder.mkdir()
    for name in (".k1.partial-00000000.segment", ".lock", "k1.txt"):
        (store.folder / name).write_bytes(b"vidcolor segment 1\n")
    assert not store.holds("k")
    assert not store.holds("")
    (store.folder / "k1.segment").write_bytes(b"")
    assert store.holds("k")


def test_a_broken_off_file_is_no_segment_at_any_length(film, tmp_path) -> None:
    """Whatever a killed process or a full disk leaves."""
    store = store_for(film)
    write(store, film.path, (0, 2))
    data = store.path("k0").read_bytes()
    assert read_segment(store.path("k0")).frames == 2
    broken = tmp_path / "x.segment"
    for length in [*range(0, 60), *range(60, len(data), 37), len(data) - 1]:
        broken.write_bytes(data[:length])
        assert read_segment(broken) is None
        with pytest.raises(MediaError, match="damaged"):
            list(read_packets(broken))
    for place in range(0, len(data), 11):
        changed = bytearray(data)
        changed[place] ^= 1
        broken.write_bytes(changed)
        with pytest.raises(MediaError, match="damaged"):
            list(read_packets(broken))


def test_full_disk_leaves_a_store_that_can_be_used(film) -> None:
    store = store_for(film)
    (first,) = write(store, film.path, (0, 1))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, limits[1]))
    try:
        with pytest.raises(MediaError, match=r"parts: cannot be written .file too") as caught:
            write(store, film.path, (0, 1, 12))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert [p.name for p in store.folder.iterdir()] == [f"{first}.segment"]
    assert store.join([first], None) == 1


@pytest.mark.parametrize(("told", "found"), [({1: 2}, "only 1"), ({2: 6}, "more")])
def test_shots_of_another_length_do_not_land(film, told, found) -> None:
    store = store_for(film)
    ((shot, count),) = told.items()
    with pytest.raises(MediaError, match=f"shot {shot} should have {count} frames.*{found}"):
        write(store, film.path, frames=told)
    landed = [f"k{n}.segment" for n in range(shot)]
    assert sorted(p.name for p in store.folder.iterdir()) == landed


def test_join_wants_all_segments_in_their_order(film) -> None:
    store = store_for(film)
    keys = write(store, film.path)
    for wrong, message in [
        (["k0", "other"], "no such segment"),
        (["k1", "k0"], "begins at pts 0, before k1 ends"),
        (["k0", "k0"], "begins at pts 0"),
        ([], "no segments to join"),
    ]:
        with pytest.raises(MediaError, match=message):
            store.join(wrong, film.path)
    assert not store.output.exists()
    assert store.join(keys, film.path) == 12
    with pytest.raises(MediaError, match="exists"):
        store.join(keys, film.path)


def test_damage_found_while_joining_leaves_nothing_behind(film) -> None:
    store = store_for(film)
    keys = write(store, film.path)
    data = bytearray(store.path("k2").read_bytes())
    data[len(data) // 2] ^= 1
    store.path("k2").write_bytes(data)
    assert store.has("k2")
    with pytest.raises(DamagedSegment, match=r"k2\.segment: is damaged and was removed"):
        store.join(keys, film.path)
    assert not store.has("k2")
    assert {p.name for p in film.path.parent.iterdir()} == {"a.mkv", "parts"}


def test_prune_leaves_what_is_not_its_own(film) -> None:
    store = store_for(film)
    assert store.prune([]) == 0
    write(store, film.path)
    folder = store.folder
    stale = ".k9.partial-0a1b2c3d.segment"
    for name in ("notes.txt", "mine.segment", ".k1.partial-x.segment", stale):
        (folder / name).write_text("a film by me")
    assert store.prune(["k0"]) == 3
    names = {"k0.segment", "notes.txt", "mine.segment", ".k1.partial-x.segment"}
    assert {p.name for p in folder.iterdir()} == names


def test_a_segment_of_another_header_is_made_again(film) -> None:
    """H.265's header also notes the number of threads, which must not matter; the rest does."""
    store = store_for(film, OutputConfig("h265"))
    write(store, film.path, (0, 3))
    path = store.path("k0")
    card = read_segment(path)
    header = bytes.fromhex(card.header)
    note = header.index(b"x265 (build")
    chatty = header[:note] + b"X265 (build" + header[note + 11 :]
    other = header[:20] + bytes([header[20] ^ 1]) + header[21:]
    for changed, there in ((header, True), (chatty, True), (other, False)):
        packets = list(read_packets(path))
        file = SegmentFile(path)
        for packet in packets:
            file.write(*packet)
        file.finish(replace(card, header=changed.hex()))
        assert store.has("k0") is there
        if not there:
            with pytest.raises(MediaError, match="no such segment of these settings"):
                store.join(["k0"], None)


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_what_a_header_says_of_threads_does_not_count(film, codec) -> None:
    """Machines differ in their number of cores."""
    store = store_for(film, OutputConfig(codec))
    write(store, film.path, (0, 2))
    threads = "frame-threads=3:pools=1" if codec == "h265" else "threads=3"
    options = store.encoding.options
    name = f"{store.encoding.codec.encoder.removeprefix('lib')}-params"
    options[name] = ":".join(filter(None, (options.get(name), threads)))
    out, encoder = store.open_encoder()
    with out:
        card = read_segment(store.path("k0"))
        assert (encoder.header.hex() != card.header) == (codec == "h265")
    assert store.has("k0")


def _passed(shown, decoded, keys=(0,)):
    passage = Passage()
    for pts in shown:
        passage.frame(pts)
    for pts in decoded:
        passage.packet(pts, pts in keys)
    return passage


@pytest.mark.parametrize(
    ("decoded", "depth"),
    [((0, 30, 10, 20), 1), ((0, 40, 20, 10, 30), 2), ((0, 10, 20), 0), ((0,), 0)],
)
def test_reordering_by_hand(decoded, depth) -> None:
    passage = _passed(sorted(decoded), decoded)
    passage.check("x")
    assert (passage.reorder, passage.frames) == (depth, len(decoded))
    assert (passage.first, passage.last) == (0, max(decoded))


@pytest.mark.parametrize(
    ("decoded", "keys"),
    [
        ((0, 10), (0,)),  # one is missing
        ((0, 10, 10), (0,)),  # one came twice, one never
        ((0, 10, 20, 30), (0,)),  # one came that nobody gave
        ((10, 0, 20), (0, 10)),  # another one first
        ((0, 10, 20), ()),  # no key frame
        ((), ()),
    ],
)
def test_what_an_encoder_keeps_or_makes_up_is_noticed(decoded, keys) -> None:
    with pytest.raises(RuntimeError, match=f"gave {len(decoded)} packets for 3 frames"):
        _passed((0, 10, 20), decoded, keys).check("x")


def test_an_endless_shot_is_not_kept_in_mind() -> None:
    passage = Passage()
    tracemalloc.start()
    for pts in range(50_000):
        passage.frame(pts)
        passage.packet(pts, pts == 0)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 20_000  # bytes; a number for each frame would be more than a megabyte


def test_a_card_that_was_changed_is_not_believed(film) -> None:
    """Its numbers say where the next segment begins, before any packet is read."""
    store = store_for(film)
    write(store, film.path)
    path = store.path("k0")
    data = path.read_bytes()
    at = data.rindex(b'"frames": ') + len(b'"frames": ')
    assert store.has("k0")
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    assert not store.has("k0")
    assert read_segment(path) is None


def test_cards_of_a_long_film_share_what_is_the_same(film) -> None:
    store = store_for(film)
    cards = [store.find(key) for key in write(store, film.path)]
    assert {id(card.encoder) for card in cards} == {id(store.encoder)}
    assert len({id(card.header) for card in cards}) == 1


def test_decode_times_by_hand() -> None:
    """I P B B, then a segment of one frame, then I P B."""
    shown = [0, 30, 10, 20, 40, 50, 70, 60]
    times = DecodeTimes(1, 10, 0)
    assert [times.next(pts) for pts in shown] == [-10, 0, 10, 20, 30, 40, 50, 60]
    times = DecodeTimes(0, 10, 7)
    assert [times.next(pts) for pts in (7, 9, 100)] == [7, 9, 100]
    times = DecodeTimes(2, 10, 100)
    assert [times.next(pts) for pts in (100, 140, 120, 110, 130)] == [80, 90, 100, 110, 120]


def test_many_segments_of_one_frame(tmp_path) -> None:
    film = make_video(tmp_path / "a.mkv", frames=9)
    store = store_for(film, OutputConfig("h264"), "b.mp4")
    keys = write(store, film.path, tuple(range(10)))
    assert store.join(keys, film.path) == 9
    with av.open(str(store.output)) as joined:
        stream = main_picture(joined)
        packets = [p for p in joined.demux(stream) if p.size]
        assert all(p.is_keyframe for p in packets)
        assert [p.pts * Fraction(stream.time_base) for p in packets] == film.times
