"""Conda and pip specifications as requirements: what has an equivalent is translated, everything else is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from tests import clouds

from ringfence.model import errors
from ringfence.policy import environments
from ringfence.policy.environments import Requirements


def spec(*dependencies: Any, **more: Any) -> dict[str, Any]:
    python = {"userManagedDependencies": False, "condaDependencies": {"dependencies": list(dependencies)}}
    return clouds.environment() | {"python": python} | more


@pytest.mark.parametrize(
    ("given", "pip"),
    [
        ("numpy", "numpy"),
        ("numpy=1.26", "numpy==1.26.*"),
        ("numpy=1.26.*", "numpy==1.26.*"),
        ("numpy==1.26.4", "numpy==1.26.4"),
        ("numpy=1.26.4=py310h1234_0", "numpy==1.26.4"),
        ("numpy>=1.20,<2", "numpy>=1.20,<2"),
        ("numpy >=1.20", "numpy>=1.20"),
        ("numpy 1.26.4", "numpy==1.26.4"),
        ("conda-forge::scikit-learn=1.4", "scikit-learn==1.4.*"),
        ("Scikit-Learn", "scikit-learn"),
        ("pytorch", "torch"),
        ("py-xgboost=2.0", "xgboost==2.0.*"),
    ],
)
def test_conda_packages_with_an_equivalent(given: str, pip: str) -> None:
    assert environments.requirements(spec(given)).pip == (pip,)


@pytest.mark.parametrize(
    ("given", "python"),
    [
        ("python=3.8", "3.8"),
        ("python=3.10.14", "3.10"),
        ("python==3.11", "3.11"),
        ("python>=3.9", "3.9"),
        ("python", ""),
        ("pip=24", ""),
    ],
)
def test_the_version_of_python(given: str, python: str) -> None:
    assert environments.requirements(spec(given)) == Requirements(python)


def test_pip_lines_and_options_keep_their_order() -> None:
    lines = [
        "--extra-index-url https://a.example/simple",
        "b==1",
        "--find-links=https://c.example/x.html",
        "a[x]>=2; python_version<'4'",
    ]
    assert environments.requirements(spec("python=3.10", "pip", {"pip": lines})) == Requirements(
        "3.10",
        ("b==1", "a[x]>=2; python_version<'4'"),
        (("--extra-index-url", "https://a.example/simple"), ("--find-links", "https://c.example/x.html")),
    )


def test_the_clients_default_environment_is_understood() -> None:
    found = environments.requirements(clouds.environment("azureml-defaults~=1.61.0"))
    assert found == Requirements("3.10", ("azureml-defaults~=1.61.0",))
    assert environments.requirements({"Python": {"CondaDependencies": {"dependencies": ["numpy"]}}}).pip == ("numpy",)


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        (spec("openmpi"), "openmpi"),
        (spec("cudatoolkit=11"), "cudatoolkit=11"),
        (spec("r-base"), "r-base"),
        (spec("numpy;rm"), "not a conda package"),
        (spec("numpy=="), "not a conda package"),
        (spec("python=three"), "names no version"),
        (spec({"conda": []}), "neither a package nor"),
        (spec(7), "neither a package nor"),
        (spec({"pip": ["-e ."]}), "is not supported"),
        (spec({"pip": ["-r other.txt"]}), "is not supported"),
        (spec({"pip": ["--index-url https://a.example"]}), "is not supported"),
        (spec({"pip": ["--find-links /tmp"]}), "is not supported"),
        (spec({"pip": ["--extra-index-url http://a.example"]}), "is not supported"),
        (spec({"pip": ["./package.whl"]}), "does not begin with the name"),
        (spec({"pip": ["/etc/passwd"]}), "does not begin with the name"),
        (spec({"pip": ["a\nb"]}), "not a requirement"),
        (spec({"pip": [7]}), "not a requirement"),
        (spec(docker={"baseImage": "example.azurecr.io/mine:1"}), "example.azurecr.io"),
        (spec(docker={"baseDockerfile": "FROM scratch"}), "images"),
        (spec(r={"rVersion": "4"}), "R environments"),
        (spec(spark={"packages": [{"group": "g"}]}), "spark"),
        (spec(python={"userManagedDependencies": True}), "userManagedDependencies"),
        ({}, "no section 'python'"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(definition: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.Problem, match="(?s)" + words.replace(".", r"\.")) as refusal:
        environments.requirements(definition)
    assert refusal.value.target is not None and refusal.value.target.startswith("environmentImageRequest.environment.")


@pytest.mark.parametrize("name", ["", "A=B", "A\0"])
def test_variables_that_no_process_can_have(name: str) -> None:
    with pytest.raises(errors.Invalid):
        environments.variables({"environmentVariables": {name: "x"}})
