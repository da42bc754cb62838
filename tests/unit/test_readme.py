"""What the README shows must run."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_python_examples_run():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    exec(compile("\n".join(blocks), "README.md", "exec"), {"__name__": "readme"})


def test_the_files_it_points_to_exist():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert len(targets) > 8
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_links_it_lists_are_all_there_are():
    listed = set(re.findall(r"\]\(links/(\w+)\.py\)", (ROOT / "README.md").read_text()))
    assert listed == {path.stem for path in (ROOT / "links").glob("[a-z]*.py")}
