import io
import sys

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn

from vidcolor.color.measure import Fid, FidValue, Inception, frechet_distance
from vidcolor.color.measure.frechet import Moments
from vidcolor.errors import WeightsError

torch_fidelity = pytest.importorskip("torch_fidelity")


def test_frechet_distance_by_hand():
    one = np.eye(1)
    # N(0, 1) and N(3, 4): 3^2 + (1 - 2)^2
    assert frechet_distance(np.zeros(1), one, np.array([3.0]), 4 * one) == pytest.approx(10)
    # where axes are shared, each deviation counts alone: (1-3)^2 + (2-2)^2 + (5-0)^2
    first, second = np.diag([1.0, 4, 25]), np.diag([9.0, 4, 0])
    assert frechet_distance(np.zeros(3), first, np.zeros(3), second) == pytest.approx(29)
    assert frechet_distance(np.zeros(3), second, np.ones(3), first) == pytest.approx(32)
    # lines at right angles, of deviations 2 and 3: nothing is shared
    across, down = np.diag([4.0, 0]), np.diag([0.0, 9])
    assert frechet_distance(np.zeros(2), across, np.zeros(2), down) == pytest.approx(13)
    # lines 60 degrees apart share half: 4 + 9 - 2 * 2 * 3 / 2
    line = np.array([0.5, np.sqrt(0.75)])
    turned = 9 * np.outer(line, line)
    assert frechet_distance(np.zeros(2), across, np.zeros(2), turned) == pytest.approx(7)
    assert frechet_distance(np.ones(2), turned, np.ones(2), turned) == pytest.approx(0, abs=1e-12)


def _covariance(seed, size=12, count=40):
    return np.cov(np.random.default_rng(seed).normal(size=(count, size)), rowvar=False)


def test_frechet_distance_agrees_with_a_matrix_root():
    first, second = _covariance(0), 3 * _covariance(1)
    mean = np.linspace(-1, 2, 12)
    root = scipy.linalg.sqrtm(first @ second).real
    expected = mean @ mean + np.trace(first + second - 2 * root)
    assert frechet_distance(mean, first, np.zeros(12), second) == pytest.approx(expected)


@pytest.mark.parametrize("count", [3, 10, 200])
def test_fid_agrees_with_torch_fidelity(count):
    from torch_fidelity import metric_fid

    rng = np.random.default_rng(count)
    mixed = rng.normal(size=(16, 16))
    truth, pred = rng.normal(size=(count, 16)) @ mixed, rng.normal(0.5, 2, (count, 16)) @ mixed
    statistics = [metric_fid.fid_features_to_statistics(torch.from_numpy(x)) for x in (truth, pred)]
    expected = metric_fid.fid_statistics_to_metric(*statistics, verbose=False)
    found = [Moments(16) for _ in range(2)]
    for moments, vectors in zip(found, (truth, pred), strict=True):
        for part in np.array_split(vectors, 3):
            moments.add(part)
    value = frechet_distance(
        found[0].mean(), found[0].covariance(), found[1].mean(), found[1].covariance()
    )
    assert value == pytest.approx(expected["frechet_inception_distance"], rel=1e-6)


def test_a_set_of_few_has_no_distance_to_itself():
    # 20 vectors of 300 numbers: 281 eigenvalues are zero but for rounding
    covariance = _covariance(2, 300, 20)
    mean = np.zeros(300)
    assert np.trace(covariance) > 250
    assert frechet_distance(mean, covariance, mean, covariance) == pytest.approx(0, abs=1e-9)
    # scaled by 4, every deviation doubles
    expected = np.trace(covariance)
    found = frechet_distance(mean, covariance, mean, 4 * covariance)
    assert found == pytest.approx(expected, rel=1e-9)


def test_distance_of_few_is_that_of_their_singular_values():
    # tr (C1 C2)^(1/2) is the sum of the singular values of X Y^T, for C1 = X^T X, C2 = Y^T Y
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(20, 300)), rng.normal(0, 2, (30, 300))
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    shared = np.linalg.svd(first @ second.T / np.sqrt(19 * 29), compute_uv=False).sum()
    covariances = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    expected = np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * shared
    mean = np.zeros(300)
    assert frechet_distance(mean, covariances[0], mean, covariances[1]) == pytest.approx(
        expected, rel=1e-10
    )


def test_moments_do_not_depend_on_how_vectors_come():
    rng = np.random.default_rng(3)
    vectors = rng.normal(1e5, 1, (700, 5)) * [1, 2, 3, 4, 5]  # far from zero
    for cuts in ([], [1], [1, 2, 300, 690], range(1, 700)):
        moments = Moments(5)
        for part in np.split(vectors, cuts):
            moments.add(part)
        assert moments.mean() == pytest.approx(vectors.mean(axis=0), rel=1e-13)
        np.testing.assert_allclose(
            moments.covariance(), np.cov(vectors, rowvar=False), rtol=1e-9, atol=1e-9
        )
        assert moments.count == 700
    parts = [Moments(5) for _ in range(3)]
    for part, rows in zip(parts, np.split(vectors, [10, 500]), strict=True):
        part.add(rows)
    empty = Moments(5)
    for part in (*parts, Moments(5)):
        empty.merge(part)
    np.testing.assert_allclose(
        empty.covariance(), np.cov(vectors, rowvar=False), rtol=1e-9, atol=1e-9
    )


def test_moments_do_not_keep_hold_of_what_they_are_given():
    moments, rows = Moments(2), np.array([[1.0, 2], [3, 6]])
    moments.add(rows)
    rows[:] = 0
    assert moments.mean().tolist() == [2, 4]
    assert moments.covariance().tolist() == [[2, 4], [4, 8]]


def test_moments_refuse_what_does_not_fit():
    moments = Moments(2)
    with pytest.raises(ValueError, match=r"\(N, 2\), not \(3, 4\)"):
        moments.add(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="finite"):
        moments.add(np.array([[1.0, np.nan]]))
    with pytest.raises(ValueError, match="of 2, not 3"):
        moments.merge(Moments(3))
    moments.add(np.ones((1, 2)))
    with pytest.raises(ValueError, match="two pictures at least, there was 1"):
        moments.covariance()


class Means:
    """Mean of each channel, and of the left half's red: four features. Notes its batches."""

    name = "means"

    def __init__(self):
        self.shapes = []

    def __call__(self, pictures):
        assert pictures.dtype == np.uint8
        self.shapes.append(pictures.shape)
        left = pictures[:, :, : pictures.shape[2] // 2, 0].mean(axis=(1, 2))
        return np.column_stack((pictures.mean(axis=(1, 2)), left)).astype(np.float32)


def _pictures(seed, sizes):
    rng = np.random.default_rng(seed)
    return [
        np.clip(rng.normal(rng.uniform(60, 200, 3), 30, (*size, 3)), 0, 255).astype(np.uint8)
        for size in sizes
    ]


def _expected(pictures, truths):
    from torch_fidelity import metric_fid

    features = [
        np.stack([Means()(p[None])[0] for p in x]).astype(float) for x in (pictures, truths)
    ]
    statistics = [metric_fid.fid_features_to_statistics(torch.from_numpy(x)) for x in features]
    return metric_fid.fid_statistics_to_metric(*statistics, verbose=False)[
        "frechet_inception_distance"
    ]


SIZES = [(8, 10)] * 5 + [(6, 6)] * 2 + [(8, 10)] * 6


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_fid_pools_all_pictures_of_all_sizes(batch):
    truths, ours, theirs = (_pictures(seed, SIZES) for seed in range(3))
    fid = Fid(Means(), batch)
    for truth, one, two in zip(truths, ours, theirs, strict=True):
        fid.add(truth, {"one": one, "two": two})
    found = fid.values()
    assert list(found) == ["one", "two"]
    assert found["one"].value == pytest.approx(_expected(ours, truths), rel=1e-6)
    assert found["two"].value == pytest.approx(_expected(theirs, truths), rel=1e-6)
    assert found["one"] == FidValue(found["one"].value, 13, False, "means")
    # no mean of clips
    clips = [_expected(ours[part], truths[part]) for part in (slice(0, 7), slice(7, 13))]
    assert found["one"].value != pytest.approx(np.mean(clips), rel=0.01)


def test_fid_gives_its_network_batches_of_one_size():
    features = Means()
    fid = Fid(features, 4)
    for picture in _pictures(0, SIZES):
        fid.add(None, {"one": picture})
    assert features.shapes == [(4, 8, 10, 3), (1, 8, 10, 3), (2, 6, 6, 3), (4, 8, 10, 3)]
    fid.add(_pictures(1, SIZES[:1])[0], {})
    with pytest.raises(ValueError, match="two pictures at least, there was 1"):
        fid.value("one")
    assert features.shapes[4:] == [(2, 8, 10, 3), (1, 8, 10, 3)]


def test_fid_of_the_truth_itself_is_zero_and_grows_with_distance():
    truths = _pictures(0, SIZES)
    fid = Fid(Means())
    for truth in truths:
        fid.add(truth, {"same": truth, "near": truth ^ 8, "gray": np.full_like(truth, 128)})
    values = {name: found.value for name, found in fid.values().items()}
    assert values["same"] == pytest.approx(0, abs=1e-9)
    assert 0 < values["near"] < values["gray"]


def test_a_value_may_be_asked_for_before_the_end():
    truths, ours = _pictures(0, SIZES), _pictures(1, SIZES)
    fid = Fid(Means(), 4)
    for number, pair in enumerate(zip(truths, ours, strict=True), 1):
        fid.add(pair[0], {"one": pair[1]})
        if number == 7:
            assert fid.value("one").value == pytest.approx(
                _expected(ours[:7], truths[:7]), rel=1e-6
            )
    assert fid.value("one").value == pytest.approx(_expected(ours, truths), rel=1e-6)


def test_stretches_joined_and_sets_apart_are_the_whole():
    truths, ours = _pictures(0, SIZES), _pictures(1, SIZES)
    parts = [Fid(Means(), 4) for _ in range(2)]
    for number, pair in enumerate(zip(truths, ours, strict=True)):
        parts[number > 5].add(pair[0], {"one": pair[1]})
    parts[0].merge(parts[1])
    assert parts[0].value("one").value == pytest.approx(_expected(ours, truths), rel=1e-6)
    apart = Fid(Means(), 4)
    for picture in ours:
        apart.add(None, {"one": picture})
    for truth in truths:
        apart.add(truth, {})
    assert apart.value("one").value == pytest.approx(_expected(ours, truths), rel=1e-6)
    with pytest.raises(ValueError, match="'means', not of 'others'"):
        apart.merge(Fid(Means(), network="others"))


@pytest.mark.parametrize(("count", "deficient"), [(2, True), (4, True), (5, False)])
def test_a_singular_covariance_is_reported(count, deficient):
    # n pictures span n - 1 of four dimensions
    fid = Fid(Means())
    truths, ours = _pictures(0, [(8, 8)] * 9), _pictures(1, [(8, 8)] * count)
    for truth in truths:
        fid.add(truth, {})
    for picture in ours:
        fid.add(None, {"one": picture})
    found = fid.value("one")
    assert (found.count, found.deficient) == (count, deficient)
    features = np.stack([Means()(p[None])[0] for p in ours])
    rank = np.linalg.matrix_rank(np.cov(features, rowvar=False))
    assert (rank < 4) == deficient


def test_fid_refuses_what_does_not_fit():
    picture = np.zeros((8, 8, 3), np.uint8)
    fid = Fid(Means())
    with pytest.raises(ValueError, match="batch must be at least 1"):
        Fid(Means(), 0)
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\), not float64"):
        fid.add(picture.astype(float), {})
    with pytest.raises(ValueError, match="must have a name"):
        fid.add(picture, {"": picture})
    with pytest.raises(ValueError, match="no picture of coloring 'one'"):
        fid.value("one")
    fid.add(None, {"one": picture})
    with pytest.raises(ValueError, match="no picture of the truth"):
        fid.value("one")
    odd = Fid(lambda pictures: np.zeros(3), 1)
    with pytest.raises(ValueError, match=r"features must be \(1, D\), not \(3,\)"):
        odd.add(picture, {})


@pytest.fixture(scope="module")
def published():
    """The network that torch-fidelity has, with random weights of a size that keeps signals."""

    class Bare(torch_fidelity.FeatureExtractorInceptionV3):
        def load_state_dict(self, state_dict):
            pass

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    network = Bare("bare", ["2048"], nothing)
    generator = torch.Generator().manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            deviation = (2 / part.weight[0].numel()) ** 0.5
            part.weight.normal_(0, deviation, generator=generator)
    return network


@pytest.fixture(scope="module")
def file(published, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "net.pth"
    torch.save(published.state_dict(), path)
    return path


def test_inception_gives_the_features_of_the_published_network(published, file):
    pictures = np.stack(_pictures(0, [(40, 52), (40, 52)]))
    before = torch.get_rng_state()
    features = Inception(file)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.inference_mode():
        (expected,) = published(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    found = features(pictures)
    assert found.shape == (2, 2048)
    assert found.std() > 0.01
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)
    # of all 2048 a distance takes seconds
    fid = Fid(lambda x: features(x)[:, :64])
    for picture in pictures:
        fid.add(picture, {"one": picture[:, ::-1]})
    expected = _distance(found[:, :64], features(pictures[:, :, ::-1])[:, :64])
    assert fid.value("one").value == pytest.approx(expected, rel=1e-4)
    assert Fid(features)._network == features.name


def _distance(truth, pred):
    """Of two pairs of vectors: each covariance is one line, v v^T / 2 with v their difference."""
    away = truth.mean(axis=0) - pred.mean(axis=0)
    lines = [np.subtract(*x.astype(float)) for x in (truth, pred)]
    traces = sum(line @ line for line in lines) / 2
    return away @ away + traces - abs(lines[0] @ lines[1])


def test_inception_names_its_weights_by_their_digest(file):
    import hashlib

    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    assert Inception(file).name == f"net.pth (sha256 {digest})"


def test_inception_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    cached = tmp_path / "hub" / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth"
    for path, named in ((None, cached), (tmp_path / "other.pth", tmp_path / "other.pth")):
        with pytest.raises(WeightsError) as error:
            Inception(path)
        assert str(named) in str(error.value)
        assert "vidcolor weights fetch inception" in str(error.value)
        assert "\n" not in str(error.value)
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(WeightsError, match=r"pip install 'vidcolor\[eval\]'"):
        Inception(tmp_path / "other.pth")


def test_inception_refuses_other_networks(published, tmp_path):
    good = published.state_dict()
    lacking = {key: value for key, value in good.items() if key != "Mixed_7c.branch1x1.conv.weight"}
    path = tmp_path / "net.pth"
    for content, match in (
        (lacking, r"Mixed_7c\.branch1x1\.conv\.weight"),
        (good | {"AuxLogits.fc.bias": torch.zeros(3)}, r"AuxLogits\.fc\.bias"),
        (good | {"fc.bias": torch.zeros(1000)}, r"fc\.bias"),
        ({"net": good}, "no named tensors"),
    ):
        torch.save(content, path)
        with pytest.raises(WeightsError, match=match) as error:
            Inception(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 600
