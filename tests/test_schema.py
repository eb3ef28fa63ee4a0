import dataclasses
import tomllib
from typing import Literal

import pytest

from vidcolor.errors import ConfigError
from vidcolor.schema import (
    from_environment,
    leaves,
    load,
    merge,
    parse,
    read_toml,
    to_dict,
    to_toml,
)


@dataclasses.dataclass(frozen=True)
class Inner:
    """An inner table.

    Attributes:
        tau: How soft,
            in L*.
        name: A word.
    """

    tau: float = 3.0
    name: str | None = None

    def __post_init__(self) -> None:
        if self.tau < 0:
            raise ConfigError(f"tau must be 0 or more, not {self.tau}")


@dataclasses.dataclass(frozen=True)
class Outer:
    """The root.

    Attributes:
        inner: A table.
        mode: One of two.
        sizes: Numbers.
    """

    inner: Inner = dataclasses.field(default_factory=Inner)
    mode: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = (1,)


def test_load_lays_values_over_defaults():
    config = load(Outer, {"inner": {"tau": 4}, "sizes": [1, 2]})
    assert config == Outer(Inner(4.0), "a", (1, 2))
    assert isinstance(config.inner.tau, float)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"iner": {}}, "config.iner: unknown key; did you mean 'inner'?"),
        ({"inner": {"taux": 1}}, "config.inner.taux: unknown key; did you mean 'tau'?"),
        ({"inner": {"tau": "4"}}, "config.inner.tau: expected float, got str '4'"),
        ({"inner": {"tau": True}}, "config.inner.tau: expected float, got bool True"),
        ({"inner": {"tau": -1.0}}, "config.inner: tau must be 0 or more"),
        ({"mode": "c"}, "config.mode: 'c' is not one of a, b"),
        ({"sizes": [1, "2"]}, r"config.sizes\[1\]: expected int"),
        ({"inner": 3}, "config.inner: expected a table, got 3"),
    ],
)
def test_load_refuses_with_path_and_nearest_name(data, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        load(Outer, data)


def test_a_key_without_default_must_be_given():
    @dataclasses.dataclass(frozen=True)
    class Needs:
        folder: str

    Needs.__annotations__ = {"folder": str}
    with pytest.raises(ConfigError, match=r"config\.folder: missing"):
        load(Needs, {})


def test_toml_round_trip(tmp_path):
    config = Outer(Inner(2.5, 'a "quoted" \\ name'), "b", (3, 4))
    path = tmp_path / "x.toml"
    path.write_text(to_toml(config))
    assert load(Outer, read_toml(path)) == config
    assert load(Outer, to_dict(config)) == config


def test_environment_and_flags_use_the_same_keys():
    data = from_environment(Outer, {"VIDCOLOR_INNER__TAU": "5", "HOME": "/", "VIDCOLOR_CACHE": "x"})
    assert data == {"inner": {"tau": 5.0}}
    with pytest.raises(ConfigError, match="VIDCOLOR_INNER__TAUX is no setting"):
        from_environment(Outer, {"VIDCOLOR_INNER__TAUX": "5"})


def test_merge_joins_tables():
    assert merge({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}) == {"a": {"x": 1, "y": 3}}


def test_leaves_carry_help_and_parse_text():
    by_name = {leaf.name: leaf for leaf in leaves(Outer)}
    assert by_name["inner.tau"].help == "How soft, in L*."
    assert parse("none", by_name["inner.name"]) is None
    assert parse("1,2", by_name["sizes"]) == [1, 2]
    with pytest.raises(ConfigError, match=r"inner\.tau: 'x' is not float"):
        parse("x", by_name["inner.tau"])


def test_unreadable_toml_is_one_line(tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text("a = = 1")
    with pytest.raises(ConfigError, match=r"bad\.toml: not valid TOML"):
        read_toml(bad)
    with pytest.raises(ConfigError, match="cannot read"):
        read_toml(tmp_path / "none.toml")


@dataclasses.dataclass(frozen=True)
class _Entry:
    name: str
    size: float = 1.0


@dataclasses.dataclass(frozen=True)
class _List:
    entries: tuple[_Entry, ...] = ()
    one: _Entry | None = None


def test_tables_in_lists():
    data = {"entries": [{"name": "a"}, {"name": "b", "size": 2}], "one": {"name": "c"}}
    found = load(_List, data)
    assert found == _List((_Entry("a"), _Entry("b", 2.0)), _Entry("c"))
    assert to_dict(found)["entries"] == [{"name": "a", "size": 1.0}, {"name": "b", "size": 2.0}]
    assert load(_List, to_dict(found)) == found
    some = _List((_Entry("a"), _Entry("b", 2.0)))
    assert load(_List, tomllib.loads(to_toml(some))) == some


def test_errors_in_lists_say_where():
    with pytest.raises(ConfigError, match=r"film\.entries\[1\]\.nme: unknown key.*'name'"):
        load(_List, {"entries": [{"name": "a"}, {"nme": "b"}]}, "film")
    with pytest.raises(ConfigError, match=r"film\.entries\[0\]: expected a table, got 3"):
        load(_List, {"entries": [3]}, "film")
    (entries, _) = leaves(_List)
    with pytest.raises(ConfigError, match="entries: is a list of tables"):
        parse("a,b", entries)
