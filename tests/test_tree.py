"""The repository under test: docstrings, sizes, decisions, and that documents name what exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def test_every_module_says_what_lives_there() -> None:
    silent = [str(path.relative_to(ROOT)) for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_no_file_holds_two_things() -> None:
    long = {str(p.relative_to(ROOT)): n for p in SOURCES if (n := len(p.read_text().splitlines())) > 400}
    assert long == {}


def test_functions_fit_a_screen() -> None:
    long = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > 60:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} {lines}")
    assert long == []


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs" / "adr").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_documents_name_files_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`((?:policy|desired|drivers|api|control|sandbox|cli)/[a-z_/]+\.py)`", text))
    assert named and [name for name in sorted(named) if not (ROOT / "src" / "ringfence" / name).is_file()] == []


def test_the_documents_own_code_is_kept_character_for_character() -> None:
    """The snippets that the example runs are those of the document, where it is at hand."""
    document = ROOT.parent / "shared" / "seed"
    for snippet in sorted((ROOT / "examples" / "secure-inferencing" / "seed").glob("*.py")):
        original = document / snippet.name
        if original.is_file():
            assert snippet.read_bytes() == original.read_bytes()
    assert len(list((ROOT / "examples" / "secure-inferencing" / "seed").glob("*.py"))) == 3


def test_every_test_file_has_a_name_of_its_own() -> None:
    """pytest imports test files by their bare names."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted({name for name in names if names.count(name) > 1}) == []
