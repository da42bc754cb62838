"""Which lines of warning and error the library logs, read from its source."""

import ast
import re

from tests.helpers.documents import ROOT

WORTH_A_ROW = ("warning", "error", "exception", "critical")


def logged_lines():
    """Lines logged at warning or above, what varies as ``…``, and the files that log them."""
    found = {}
    for path in sorted((ROOT / "catena_core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "log" and node.args:
                levels = {
                    item.value
                    for keyword in node.keywords
                    if keyword.arg == "level"
                    for item in ast.walk(keyword.value)
                    if isinstance(item, ast.Constant)
                }
                if levels & set(WORTH_A_ROW):
                    found[text_of(node.args[0])] = path.name
    return found


def text_of(node):
    """Read the text of a message as a reader sees it, with ``…`` for what varies."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        return re.sub(r"…+", "…", text)
    if isinstance(node, ast.BinOp):
        return re.sub(r"…+", "…", text_of(node.left) + text_of(node.right)).split("\n")[0]
    return "…"
