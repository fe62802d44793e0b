"""Write the pages of docs/ that repeat what the code says; `make docs` runs it.

A test compares the pages with what this would write.
"""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

from configs.allowed import allowed
from configs.cluster import Cluster, Host, HostSettings
from configs.settings import PREFIX, SECRETS, Settings
from launcher.cli import app
from launcher.terminal import folder
from launcher.terminal.console import CUT
from models import kind
from models.variants import OWN
from pipeline import mode
from pipeline.parameters import BatchParameters

DOCS = Path(__file__).parent
NOTE = "<!-- Written by `make docs` from the code. Change the code. -->"


def settings_page() -> str:
    lines = [
        "# Settings",
        NOTE,
        "",
        "From strongest to weakest: the command line (`deepcredit --set NAME=VALUE COMMAND`), the",
        f"environment (`{PREFIX}STORE_URL` for `store_url`), `deepcredit.toml` in the working",
        "directory (or the file named with `--config`), the default. An unknown name is an error",
        "that lists the known.",
        "",
        f"Secrets come from the environment alone: `{PREFIX}DATABASE_PASSWORD`, or",
        f"`{PREFIX}DATABASE_PASSWORD_FILE`, the path of a file that holds it. They are refused in",
        "`deepcredit.toml`, on the command line and in URLs, and never written to a log.",
        "",
        "| setting | default | what it is |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        if name == "cluster":
            lines.append(f"| `[cluster]` |  | {field.description} |")
            continue
        secret = " (secret)" if name in SECRETS else ""
        default = "" if field.default in (None, "") else f"`{field.default}`"
        lines.append(f"| `{name}` | {default} | {field.description}{secret} |")
    lines += [
        "",
        "## The table `[cluster]`",
        "Only in the file; `deepcredit cluster` reads it. [The guide](cluster.md) shows one. What",
        "the first table lists may be set for all hosts, and again in the table of a host.",
        "",
        *_cluster_table(HostSettings, without=()),
        "",
        "For a host alone:",
        "",
        *_cluster_table(Host, without=HostSettings.model_fields),
        "",
        "For the cluster as a whole:",
        "",
        *_cluster_table(Cluster, without=HostSettings.model_fields),
    ]
    return "\n".join([*lines, ""])


def commands_page() -> str:
    lines = [
        "# Commands",
        NOTE,
        "",
        "`deepcredit COMMAND --help` says more, with more examples. Exit codes: 0 success,",
        "1 a failed outcome, 2 wrong usage. Errors are one line on stderr.",
        "",
        "Commands that print tables have `--format`. A `table` fits the terminal; in a file or",
        f"pipe each text is cut after {CUT} columns, but no line is. `csv` and `json` have every",
        "column, whole, in UTF-8 whatever the locale; a CSV without rows has its heading.",
    ]
    commands = {name: folder.load(name) for name in folder.names()}
    lines += ["", ", ".join(f"[{name}](#{name})" for name in commands)]
    lines += ["", "## Before the command", "", *_option_list(get_command(app))]
    for name, command in commands.items():
        if isinstance(command, TyperGroup):
            lines += ["", f"## {name}", "", _does(command)]
            for word, each in command.commands.items():
                lines += ["", f"### {name} {word}", *_command(each)]
        else:
            lines += ["", f"## {name}", *_command(command)]
    return "\n".join([*lines, ""])


def parameters_page() -> str:
    lines = [
        "# Parameters",
        NOTE,
        "",
        "## batch_param",
        "A JSON object; NULL means all defaults. A number may come as a string. An unknown key, a",
        "wrong type or a value out of range ends the batch in E at once, `error_class`",
        "`BadParameter`, and the text names the key and what is allowed.",
        "",
        "### Every mode",
        *_table(BatchParameters, without=()),
    ]
    for name in mode.available():
        lines += [
            "",
            f"### {name}",
            *_table(mode.find(name).Parameters, without=BatchParameters.model_fields),
        ]
    lines += [
        "",
        "## model_param",
        "A JSON object in `dc_model_list.model_param` (or a table `param` in the TOML file of",
        "`deepcredit model load`): the hyper-parameters of the kind, and",
        "",
        "| key | allowed |",
        "|---|---|",
        *(f"| `{name}` | {_cell(spec)} |" for name, spec in OWN.items()),
        "| `grid` | an object from a name to a list of values |",
        "",
        "Each combination of the grid is one `model_sub_no`, numbered from 1 as nested loops would",
        "run them: the name written last varies fastest. Without a grid there is one variant, 1.",
        "TOML has no null: leave the key out there, or write the JSON by SQL. A default called",
        "library's is that of the library in the version that `dc_model.versions` names.",
        "",
        "Rows of `train` are resampled as models see them, in columns of numbers: a synthetic row",
        "lies between two others, so that it may be of two categories in part. `balanced` gives",
        "both classes of the rows after that equal weight. A fit that stops early watches `valid`,",
        "whose classes are weighed to the shares that `resampling`, `classWeight` and",
        "`scale_pos_weight` give them in training. `classWeight` and `resampling` shift scores:",
        "[review.md](review.md#scores-and-probabilities).",
    ]
    for model_id in kind.available():
        lines += ["", f"### {model_id}", *_kind(model_id)]
    return "\n".join([*lines, ""])


PAGES = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "parameters.md": parameters_page,
}


def _command(command: Any) -> list[str]:
    options = _option_list(command)
    lines = ["", _does(command), "", "```bash", _example(command), "```"]
    return [*lines, "", *options] if options else lines


def _does(command: Any) -> str:
    """The first paragraph of its help."""
    return " ".join((command.help or "").partition("\n\n")[0].split())


def _option_list(command: Any) -> list[str]:
    return [f"- `{names}`: {' '.join(text.split())}" for names, text in _options(command)]


def _options(command: Any) -> Iterator[tuple[str, str]]:
    """As `--help` prints them, but for those that all commands have."""
    context = command.make_context("", [], resilient_parsing=True)
    for parameter in command.get_params(context):
        names, text = parameter.get_help_record(context) or ("", "")
        if names and not names.startswith(("--format", "--help", "-h, --help")):
            yield names, text


def _example(command: Any) -> str:
    """The first one of its help, on a single line."""
    _, _, lines = (command.epilog or "").partition("Example:\n")
    return re.sub(r"\s*\\\n\s*", " ", lines.strip()).partition("\n")[0]


def _cluster_table(model: type[HostSettings], without: Any) -> list[str]:
    lines = ["| setting | default | what it is |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        if name not in without:
            default = field.get_default(call_default_factory=True)
            shown = "" if field.is_required() or (not default and default != 0) else f"`{default}`"
            shown = shown.replace(str(Path.home()), "~")
            lines.append(f"| `{name}` | {shown} | {_cell(field.description)} |")
    return lines


def _table(model: type[BatchParameters], without: Any) -> list[str]:
    lines = ["| key | default | allowed | what it is |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if name not in without:
            default = "" if field.default is None else f"`{json.dumps(field.default)}`"
            lines.append(
                f"| `{field.alias or name}` | {default} | {_cell(allowed(field))} "
                f"| {_cell(field.description)} |"
            )
    return lines


def _kind(model_id: str) -> list[str]:
    found = kind.find(model_id)
    lines = [inspect.getdoc(found) or "", "", "| parameter | default | allowed |", "|---|---|---|"]
    for name, spec in found.PARAMETERS.items():
        default = f"`{json.dumps(found.DEFAULTS[name])}`" if name in found.DEFAULTS else "library's"
        lines.append(f"| `{name}` | {default} | {_cell(spec)} |")
    return lines


def _cell(text: object) -> str:
    return str(text or "").replace("|", "\\|")


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
