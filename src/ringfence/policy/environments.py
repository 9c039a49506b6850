"""What a registered environment asks for, as requirements of pip: the part of a specification that Ringfence can build.

Environments are built with an ordinary Python and an installer of wheels, without conda and
without images. What has no equivalent there is refused by name; nothing is left out silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from ringfence.model import errors

_TARGET = "environmentImageRequest.environment"
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
_VERSION = re.compile(r"^[A-Za-z0-9.*+!_-]+$")
_OPTIONS = ("--extra-index-url", "--find-links")
#: Base images that hold Python and nothing a model would miss; their content is the built environment's.
_PLAIN_IMAGES = ("mcr.microsoft.com/azureml/",)

#: Conda package -> its name on the Python package index. Only where the two are the same library.
CONDA_TO_PIP: Mapping[str, str] = {
    **{
        name: name
        for name in (
            "cloudpickle", "cython", "dask", "dill", "fastapi", "flask", "gensim", "h5py", "imbalanced-learn", "jinja2",
            "joblib", "jsonschema", "keras", "lightgbm", "matplotlib", "msgpack-python", "networkx", "nltk", "numba",
            "numexpr", "numpy", "onnx", "onnxruntime", "packaging", "pandas", "pillow", "plotly", "protobuf", "psutil",
            "pyarrow", "pydantic", "python-dateutil", "pytz", "pyyaml", "requests", "scikit-image", "scikit-learn", "scipy",
            "seaborn", "setuptools", "shap", "six", "skl2onnx", "spacy", "sqlalchemy", "statsmodels", "sympy", "tabulate",
            "tensorflow", "tqdm", "transformers", "typing_extensions", "wheel", "xgboost",
        )
    },
    "msgpack-python": "msgpack",
    "py-xgboost": "xgboost",
    "pytorch": "torch",
    "torchvision": "torchvision",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Requirements:
    """python: `3.10`, or "" for any. pip: requirement lines. index_options: (option, value) pairs, in their order."""

    python: str = ""
    pip: tuple[str, ...] = ()
    index_options: tuple[tuple[str, str], ...] = ()


def requirements(definition: Mapping[str, JsonValue]) -> Requirements:
    """Read an environment as clients send it (contract section 7.2). Raises Invalid or Unsupported, naming the entry."""
    fields = {name.lower(): value for name, value in definition.items()}
    _docker(fields.get("docker"))
    _other_stacks(fields)
    python = fields.get("python")
    if not isinstance(python, dict):
        raise _invalid("python", "The environment has no section 'python'.")
    section = {name.lower(): value for name, value in python.items()}
    if section.get("usermanageddependencies") is True:
        raise _unsupported(
            "python.userManagedDependencies",
            "Ringfence cannot take packages from an image: it builds each environment from its conda or pip specification. "
            "Set userManagedDependencies to false and list the packages.",
        )
    conda = section.get("condadependencies")
    return _conda(conda) if isinstance(conda, dict) else Requirements()


def variables(definition: Mapping[str, JsonValue]) -> dict[str, str]:
    """The environment variables of a specification. Raises Invalid for one that no process can have."""
    fields = {name.lower(): value for name, value in definition.items()}
    given = fields.get("environmentvariables")
    found = {}
    for name, value in (given if isinstance(given, dict) else {}).items():
        text = "" if value is None else str(value)
        if not name or "=" in name or "\0" in name + text:
            raise _invalid("environmentVariables", f"{name[:100]!r} cannot be an environment variable.")
        found[name] = text
    return found


def _docker(docker: JsonValue) -> None:
    if not isinstance(docker, dict):
        return
    section = {name.lower(): value for name, value in docker.items()}
    if section.get("basedockerfile"):
        raise _unsupported("docker.baseDockerfile", "Ringfence cannot build images. Use a conda or pip specification.")
    image = section.get("baseimage")
    if isinstance(image, str) and image and not image.lower().startswith(_PLAIN_IMAGES):
        raise _unsupported(
            "docker.baseImage",
            f"Ringfence cannot run the image {image[:200]!r}. Leave the base image at its default and list the packages.",
        )


def _other_stacks(fields: Mapping[str, JsonValue]) -> None:
    if fields.get("r"):
        raise _unsupported("r", "Ringfence cannot build R environments. Use Python.")
    for name in ("spark", "databricks"):
        section = fields.get(name)
        if isinstance(section, dict) and any(isinstance(value, list) and value for value in section.values()):
            raise _unsupported(name, f"Ringfence cannot install {name} packages. Remove them from the section '{name}'.")


def _conda(conda: Mapping[str, JsonValue]) -> Requirements:
    entries = conda.get("dependencies")
    python, pip, options = "", [], []
    for entry in entries if isinstance(entries, list) else []:
        match entry:
            case str():
                name, version = _split(entry)
                if name == "python":
                    python = _python(version, entry)
                elif name != "pip":
                    pip.append(_as_pip(name, version, entry))
            case {"pip": list(lines)}:
                found, found_options = _pip_lines(lines)
                pip += found
                options += found_options
            case _:
                raise _invalid("python.condaDependencies", f"{str(entry)[:100]!r} is neither a package nor a list under 'pip'.")
    return Requirements(python, tuple(pip), tuple(options))


def _split(entry: str) -> tuple[str, str]:
    """`conda-forge::numpy>=1.2,<2` -> (`numpy`, `>=1.2,<2`); a build string after a second `=` is left to the installer."""
    text = entry.split("::")[-1].strip()
    match = re.match(r"^([A-Za-z0-9._-]+)\s*(.*)$", text)
    if match is None:
        raise _invalid("python.condaDependencies", f"{entry[:100]!r} is not a conda package specification.")
    return match[1].lower(), match[2].strip()


def _python(version: str, entry: str) -> str:
    found = re.match(r"^[=~>]{0,2}\s*(\d+)\.(\d+)", version)
    if found is None:
        if not version:
            return ""
        raise _invalid("python.condaDependencies", f"{entry[:100]!r} names no version of Python as 3.10 does.")
    return f"{found[1]}.{found[2]}"


def _as_pip(name: str, version: str, entry: str) -> str:
    renamed = CONDA_TO_PIP.get(name)
    if renamed is None:
        raise _unsupported(
            "python.condaDependencies",
            f"The conda package {entry[:100]!r} has no known equivalent on the Python package index, and Ringfence "
            "builds without conda. List what you need of it under 'pip:', or remove it.",
        )
    return renamed + ",".join(_specifier(part.strip(), entry) for part in version.split(",") if part.strip())


def _specifier(part: str, entry: str) -> str:
    """Conda's `=1.2` means 1.2.anything; its `1.2` and `==1.2` mean exactly that."""
    found = re.match(r"^(==|>=|<=|!=|~=|=|>|<)?\s*([^=\s]+)(=\S+)?$", part)
    if found is None or not _VERSION.match(found[2]):
        raise _invalid("python.condaDependencies", f"{entry[:100]!r} is not a conda package specification.")
    operator, version, build = found[1] or "==", found[2], found[3]
    if operator == "=":
        return f"=={version}" if build or version.endswith("*") else f"=={version}.*"
    return f"{operator}{version}"


def _pip_lines(lines: Iterable[JsonValue]) -> tuple[list[str], list[tuple[str, str]]]:
    found, options = [], []
    for line in lines:
        text = line.strip() if isinstance(line, str) else ""
        if not text or "\n" in text or "\0" in text or len(text) > 1000:
            raise _invalid("python.condaDependencies", f"{str(line)[:100]!r} is not a requirement of pip.")
        if text.startswith("-"):
            options.append(_option(text))
        else:
            found.append(_requirement(text))
    return found, options


def _option(text: str) -> tuple[str, str]:
    name, _, value = re.sub(r"[\s=]+", " ", text, count=1).partition(" ")
    if name not in _OPTIONS or not value.startswith("https://"):
        raise _unsupported(
            "python.condaDependencies",
            f"The line {text[:100]!r} is not supported: of pip's options, {' and '.join(_OPTIONS)} with an https address are.",
        )
    return name, value


def _requirement(text: str) -> str:
    name = re.split(r"[\s\[<>=!~;@(]", text, maxsplit=1)[0]
    if not _NAME.match(name):
        raise _unsupported(
            "python.condaDependencies",
            f"The line {text[:100]!r} does not begin with the name of a package: files and addresses have to be named, as in "
            "'name @ https://…'.",
        )
    return text


def _invalid(where: str, message: str) -> errors.Invalid:
    return errors.Invalid("InvalidEnvironmentDefinition", message, target=f"{_TARGET}.{where}")


def _unsupported(where: str, message: str) -> errors.Unsupported:
    return errors.Unsupported("UnsupportedEnvironmentDefinition", message, target=f"{_TARGET}.{where}")
