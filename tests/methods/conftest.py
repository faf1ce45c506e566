"""A method in a package of its own, installed by its path."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[1] / "packages"


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages in ``tests/packages``, as pip installs them."""
    folder = tmp_path_factory.mktemp("site")
    for package in sorted(PACKAGES.iterdir()):
        source = tmp_path_factory.mktemp("source") / package.name
        shutil.copytree(package, source)  # setuptools builds in the source's own folder
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
                *("--no-build-isolation", "--disable-pip-version-check"),
                *("--target", str(folder), str(source)),
            ],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def plugins(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, importable here and in processes that are started."""
    monkeypatch.syspath_prepend(str(installed))
    known = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(installed), known))))
    yield installed
    for name in [name for name in sys.modules if name.startswith("liveedit_repeat")]:
        del sys.modules[name]
