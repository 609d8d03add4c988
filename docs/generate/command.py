"""docs/reference/command.md, from the options that typer knows."""

import inspect
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from fedretina.cli import app
from generate.markdown import table

HEAD = """# The command `fedretina`

After this page you know every command, argument and option of `fedretina`.

```bash
fedretina --help
```

A command exits with 0. If something is wrong, it prints one message to standard error and exits with 1. The program
`docs/generate` writes this page from the command itself.
"""


def page() -> str:
    """Write the page."""
    return "\n".join([HEAD, *(section(name, command) for name, command in commands("fedretina", get_command(app)))])


def commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Give each command below a group, with its full name."""
    below = getattr(command, "commands", {})
    if not below:
        yield name, command
    for word, one in below.items():
        yield from commands(f"{name} {word}", one)


def section(name: str, command: Any) -> str:
    """Write a command's text and its table of arguments and options."""
    text = (command.help or "").strip()
    rows = [row(parameter, information(command, parameter)) for parameter in command.params]
    lines = [f"## {name}", "", text, ""]
    return "\n".join([*lines, table(["argument or option", "default", "meaning"], rows), ""] if rows else lines)


def row(parameter: Any, info: Any) -> list[str]:
    """Write one argument or option."""
    default = "" if parameter.default in (None, "", False) else f"`{parameter.default}`"
    return [f"`{shown_name(parameter, info)}`", "required" if parameter.required else default, info.help or ""]


def shown_name(parameter: Any, info: Any) -> str:
    """Give an option as it is typed; of an argument its choices or its name."""
    if parameter.param_type_name == "option":
        return ", ".join([*parameter.opts, *parameter.secondary_opts])
    choices = getattr(parameter.type, "choices", None)
    return ", ".join(choices) if choices else info.metavar or parameter.name.upper()


def information(command: Any, parameter: Any) -> Any:
    """Return what the command's function declares; click 8.5 drops the help of typer's arguments."""
    function = inspect.unwrap(command.callback)
    return inspect.signature(function).parameters[parameter.name].annotation.__metadata__[0]
