"""Text is read and written as UTF-8 on every system, not in whatever the system prefers."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "tests", "scripts", "benchmarks", "recipes")
PLACE = {"read_text": 0, "write_text": 1}  # arguments before the encoding


def unsaid(code):
    """Lines of calls that read or write text without naming an encoding."""
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call):
            continue
        keywords = {one.arg: one.value for one in node.keywords}
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        method = isinstance(node.func, ast.Attribute)
        if "encoding" in keywords or None in keywords:
            continue
        if name in PLACE and method and len(node.args) == PLACE[name]:
            yield node.lineno
        if name == "open" and not keywords.keys() - {"mode", "newline"}:
            before = node.args if method else node.args[1:]
            modes = [keywords["mode"]] if "mode" in keywords else before[:1]
            values = [mode.value for mode in modes if isinstance(mode, ast.Constant)]
            if values and isinstance(values[0], str) and set(values[0]) <= set("rwax+t"):
                yield node.lineno
            if not modes and isinstance(node.func, ast.Name):
                yield node.lineno


@pytest.mark.parametrize("code", [
    "path.read_text()", "path.write_text(x)", "path.open('w')", "open(path)", "open(path, 'a')",
    "open(path, mode='rt')",
])  # fmt: skip
def test_a_call_that_names_no_encoding_is_found(code):
    assert list(unsaid(code)) == [1]


@pytest.mark.parametrize("code", [
    "path.read_text(encoding='utf-8')", "path.write_text(x, encoding='utf-8')", "path.open('rb')",
    "write_text(path, x)", "open(path, 'wb')", "Image.open(path)", "tarfile.open(path, 'r|')",
])  # fmt: skip
def test_other_calls_are_not_found(code):
    assert list(unsaid(code)) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_read_and_write_of_text_names_its_encoding(folder):
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in unsaid(path.read_text(encoding="utf-8"))
    ]
    assert found == []
