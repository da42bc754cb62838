"""Packages import what their names need when the names are used, so that small processes start small."""

from __future__ import annotations

import subprocess
import sys

import pytest

import catena_core
from catena_core import rpc

_LARGE = ("confluent_kafka", "prometheus_client", "waitress")


@pytest.mark.parametrize(
    "module",
    ["catena_core", "federation.evaluation.process", "federation.view.process", "federation.view.disk_process"],
)
def test_process_that_runs_no_link_starts_without_kafkas_client(module: str) -> None:
    code = f"import sys, {module}; print(*({{*{_LARGE}}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)

    assert done.stdout.split() == []


@pytest.mark.parametrize("package", ["catena_core", "catena_core.rpc"])
def test_each_public_name_can_be_imported_and_listed(package: str) -> None:
    code = (
        f"import sys, {package}; package = sys.modules[{package!r}]; listed = dir(package)\n"
        f"from {package} import *\n"
        "print(*(name for name in package.__all__ if name not in listed or globals()[name] is not getattr(package, name)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)

    assert done.stdout.split() == []


def test_rpc_is_the_decorator_though_a_package_has_its_name() -> None:
    code = "import catena_core.rpc.peer\nfrom catena_core import Link, rpc\nrpc(lambda link: None)"

    assert subprocess.run([sys.executable, "-c", code], timeout=300, check=False).returncode == 0
    assert catena_core.rpc is rpc


def test_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'catena_core' has no attribute 'Lnik'"):
        _ = catena_core.Lnik  # type: ignore[attr-defined]
