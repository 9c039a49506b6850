"""The table of the document's statements: every row names code and tests that exist, and nothing of the document is left out."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "document.md"
_TEST = re.compile(r"`(tests/[a-z0-9_/]+\.py)::(test_\w+)`")
_CODE = re.compile(r"`((?:api|cli|control|desired|drivers|extension|model|policy|sandbox|scoring)/[a-z0-9_/]+\.py)`")


def rows() -> list[list[str]]:
    """The cells of every row, headings left out."""
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ") and not line.startswith(("| # |", "|---"))]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@cache
def functions(path: Path) -> frozenset[str]:
    found = ast.walk(ast.parse(path.read_text()))
    return frozenset(node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_rows_are_numbered_and_whole() -> None:
    found = rows()
    assert [row[0] for row in found] == [str(number) for number in range(1, len(found) + 1)]
    assert [row[0] for row in found if len(row) != 4 or not all(row)] == []


def test_every_row_names_code_and_a_test_or_the_studio() -> None:
    bare = [row[0] for row in rows() if not (_CODE.search(row[2]) and _TEST.search(row[3])) and row[2] != "Studio"]
    assert bare == []


def test_the_code_and_the_tests_exist() -> None:
    text = TABLE.read_text()
    assert [name for name in _CODE.findall(text) if not (ROOT / "src" / "ringfence" / name).is_file()] == []
    named = _TEST.findall(text)
    assert [one for one in named if not (ROOT / one[0]).is_file() or one[1] not in functions(ROOT / one[0])] == []


def test_every_section_of_the_document_is_there() -> None:
    """Where the document is at hand: its headings are those of the table, in order."""
    document = ROOT.parent / "shared" / "seed" / "how-to-secure-inferencing-vnet.ja.md"
    if document.is_file():
        named = re.findall(r'^#+ <a name="([a-z-]+)"></a>', document.read_text(), re.MULTILINE)
        wanted = [name for name in named if name not in ("python", "azure-cli", "next-steps")]
        assert re.findall(r"^## `#([a-z-]+)`", TABLE.read_text(), re.MULTILINE) == wanted
