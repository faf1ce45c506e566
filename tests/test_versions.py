"""The versions that pyproject.toml promises, and the two files that keep pip to them."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

_ROOT = Path(__file__).parent.parent
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _requirements() -> list[Requirement]:
    """Everything that the project and its extras ask for, but for its own extras."""
    groups = [_PROJECT["dependencies"], *_PROJECT["optional-dependencies"].values()]
    requirements = [Requirement(text) for group in groups for text in group]
    return [one for one in requirements if canonicalize_name(one.name) != _PROJECT["name"]]


def _pinned(file: str) -> dict[str, Version]:
    lines = (_ROOT / file).read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    versions = {canonicalize_name(name): Version(version) for name, version in pins}
    assert len(versions) == len(pins), f"{file} names a package twice"
    return versions


def test_the_lowest_versions_are_the_lower_bounds():
    bounds: dict[str, Version] = {}
    for requirement in _requirements():
        for bound in requirement.specifier:
            if bound.operator == ">=":
                name, version = canonicalize_name(requirement.name), Version(bound.version)
                bounds[name] = max(version, bounds.get(name, version))
    bounds["psycopg-binary"] = bounds["psycopg"]  # its extra, released together with it
    assert _pinned("constraints-lowest.txt") == bounds


def test_the_core_bounds_every_dependency_from_below():
    requirements = map(Requirement, _PROJECT["dependencies"])
    assert all(any(bound.operator == ">=" for bound in one.specifier) for one in requirements)


def test_the_constraints_name_every_dependency_and_are_allowed():
    pinned = _pinned("constraints.txt")
    for requirement in _requirements():
        version = pinned[canonicalize_name(requirement.name)]
        assert version in requirement.specifier, f"{requirement} forbids {version}"
