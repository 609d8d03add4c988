"""docs/reference/configuration.md, from the comments in each app's pyproject.toml."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from generate.markdown import table

ROOT = Path(__file__).parents[2]
APPS = ROOT / "simulations"
SECTION = "[tool.flwr.app.config]"
KEY = re.compile(r'^(?P<name>[\w-]+)\s*=\s*(?P<value>"[^"]*"|[^#\s]+)\s*(?:#\s*(?P<comment>.*))?$')
HEAD = """# Configuration keys of the apps

After this page you know every key that `flwr run` accepts with `-c`, its default, and its allowed values.

```bash
flwr run simulations/duke_target --stream -c "rounds=3 seed=7 targets='market1501' sources='duke,msmt17'"
```

- Separate pairs by spaces. Put texts into single quotes. Numbers, `true` and `false` have no quotes.
- Flower refuses a key that is not in these tables.
- `docs/generate` writes this page from each app's pyproject.toml.
"""


@dataclass(frozen=True)
class Key:
    """One key: its group, name, default as TOML, and comment."""

    group: str
    name: str
    default: str
    comment: str


def page() -> str:
    """Write the page."""
    return "\n".join([HEAD, *(section(app) for app in apps())])


def apps() -> list[Path]:
    """List the apps' folders."""
    return sorted(path.parent for path in APPS.glob("*/pyproject.toml"))


def section(app: Path) -> str:
    """Write the tables of one app."""
    text = (app / "pyproject.toml").read_text(encoding="utf-8")
    keys = list(read_keys(text))
    assert [key.name for key in keys] == list(tomllib.loads(text)["tool"]["flwr"]["app"]["config"]), app
    description = tomllib.loads(text)["project"]["description"]
    lines = [f"## {app.relative_to(ROOT)}", "", f"{description}.", ""]
    for group in dict.fromkeys(key.group for key in keys):
        rows = [[f"`{key.name}`", f"`{key.default}`", key.comment] for key in keys if key.group == group]
        lines += [f"### {app.name}: {group}", "", table(["key", "default", "what it does"], rows), ""]
    return "\n".join(lines)


def read_keys(text: str) -> Iterator[Key]:
    """Read the keys with their comments: a comment at the margin names a group, an indented one goes on."""
    group, found = "", list[Key]()
    for line in text.split(SECTION + "\n")[1].splitlines():
        if line.startswith("["):
            break
        if line.startswith("# "):
            group = line.removeprefix("# ")
        elif line.lstrip().startswith("#") and found:
            last = found[-1]
            found[-1] = Key(last.group, last.name, last.default, f"{last.comment} {line.strip().removeprefix('# ')}")
        elif match := KEY.match(line):
            found.append(Key(group, match["name"], match["value"], match["comment"] or ""))
    yield from found
