"""The guide's code runs, block after block, as a reader would run it."""

import re
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "reuse.md"


def test_the_guide_runs() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(GUIDE), "exec"), names)
