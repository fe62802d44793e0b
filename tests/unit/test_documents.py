"""The documents say what the code says."""

import re
import runpy
from pathlib import Path
from typing import get_args

import pytest

from configs import errors
from configs.errors import DeepCreditError, Retry
from configs.metric_names import COUNTS, METRICS
from models import kind
from pipeline import mode
from pipeline.ensembles.learning import METHODS
from pipeline.modes.ensemble import Parameters
from storage.metadata import VERSION_TABLE
from storage.schema import metadata
from storage.views import VIEWS
from tests.bank import ROOT

DOCS = ROOT / "docs"
MANUAL = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "docker" / "README.md"]
GUIDE = (DOCS / "operators.md").read_text(encoding="utf-8")
TABLES = (DOCS / "tables.md").read_text(encoding="utf-8")
PACKAGES = ("configs", "storage", "models", "ensemble", "pipeline", "launcher", "migrations")
PAGES = runpy.run_path(str(DOCS / "generate.py"))["PAGES"]
ENSEMBLES = (DOCS / "ensembles.md").read_text(encoding="utf-8")
OF_ENSEMBLES = {"dc_batch_method", "dc_batch_histogram", "dc_batch_picture"}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_written_page_is_what_would_be_written_now(name: str) -> None:
    written = (DOCS / name).read_text(encoding="utf-8")

    assert written == PAGES[name](), "run `make docs`"


@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_the_page_of_tables_names_every_column_of_a_table(name: str) -> None:
    row = _row(name)

    for column in metadata.tables[name].columns:
        assert _names(row, column.name) or column.name in _metrics(), column.name


def test_the_guide_tells_of_every_error_class_whether_it_is_tried_again() -> None:
    words = {
        Retry.NEVER: "final",
        Retry.LATER: "retried after 20 minutes",
        Retry.AT_ONCE: "retried at once",
    }
    above = ""
    for names, cells in re.findall(r"^\| ((?:`[A-Z]\w+`[^|]*)+) \| (.*) \|$", GUIDE, re.MULTILINE):
        happens, more, _ = cells.partition(" | ")
        happens = happens if more else "final at once"  # as the text above its table says
        above = above if happens == "as above" else happens
        for name in re.findall(r"`(\w+)`", names):
            if name not in (
                "CardUnusable",
                "ClusterAway",
                "StartFailed",
                "LoginRefused",
            ):  # the one is no end, the others no attempt
                assert above.startswith(words[getattr(errors, name).retry]), name


def test_the_pages_for_people_name_every_mode_and_kind() -> None:
    pages = {name: (DOCS / name).read_text(encoding="utf-8") for name in ("modes.md", "terms.md")}

    for each in mode.available():
        assert f"\n## {each}\n" in pages["modes.md"], f"modes.md has no section on {each}"
        assert _names(_row("dc_batch"), each), f"tables.md, dc_batch, mode: no {each}"
    for model_id in kind.available():
        assert _names(pages["terms.md"], model_id), f"terms.md, model kind: no {model_id}"


def test_a_link_that_is_written_as_a_page_leads_there() -> None:
    links = re.compile(r"\[([\w./-]+\.md)\]\(([^)#]+)")

    for page in MANUAL:
        for text, target in links.findall(page.read_text(encoding="utf-8")):
            assert Path(text).name == Path(target).name, page


def test_the_page_of_tables_names_the_table_of_the_schema_version() -> None:
    assert _names(_row(VERSION_TABLE), "version_num")


def test_the_page_on_ensembles_names_its_tables() -> None:
    assert {name for name in OF_ENSEMBLES if f"`{name}`" not in ENSEMBLES} == set()


def test_the_page_on_ensembles_tells_methods_to_choose_from_those_to_compare_with() -> None:
    (table,) = re.findall(r"^\| method \|.*?\n\n", ENSEMBLES, re.MULTILINE | re.DOTALL)
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE))

    allowed = get_args(Parameters.model_fields["method"].annotation)
    compared = {name for name, text in rows.items() if text.startswith("for comparison only")}
    assert set(rows) == set(METHODS)
    assert set(rows) - compared == set(allowed)
    assert compared == {"tuned", "single"}


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_the_page_of_tables_names_every_column_of_a_view(name: str) -> None:
    row = _row(name)

    for column in VIEWS[name].selected_columns:
        measured = column.name.partition("_")[2]
        known = measured in (*METRICS, *COUNTS, "n_rows") and "`valid_` and `test_`" in row
        assert _names(row, column.name) or known, column.name


def test_every_module_says_in_its_first_line_what_it_is_for() -> None:
    """The page on the architecture lists them by these lines."""
    silent = [
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if not path.read_text(encoding="utf-8").startswith('"""')
    ]

    assert silent == []


def test_the_page_on_the_architecture_names_files_that_there_are() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")

    named = set(re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", page))
    there = {name for name in named for place in ("", *PACKAGES) if (ROOT / place / name).is_file()}
    assert named - there == set()
    assert len(named) > 20


def test_the_guide_names_every_error_class() -> None:
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, DeepCreditError)
    }

    assert {name for name in classes if f"`{name}`" not in GUIDE} == {"DeepCreditError"}


def test_links_between_the_documents_lead_somewhere() -> None:
    broken = [
        (page.name, link, heading)
        for page in MANUAL
        for link, heading in re.findall(
            r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")
        )
        if not _leads(page.parent / link if link else page, heading)
    ]

    assert broken == []


def test_what_workers_are_told_to_use_was_made_by_a_command_of_the_guide() -> None:
    pages = "\n".join((DOCS / f"{name}.md").read_text("utf-8") for name in ("cluster", "servers"))

    told = re.findall(r"^ +DEEPCREDIT_[A-Z_]+=(/\S+)$", pages, re.MULTILINE)
    installs = re.findall(r"^install .*$", pages, re.MULTILINE)
    assert len(told) == 2
    assert all(any(path in line.split() for line in installs) for path in told)


def test_the_guide_works_where_the_unit_of_launchers_does() -> None:
    """Commands read the settings of the folder that they are started in; `su -` goes to a home."""
    unit = (DOCS / "deepcredit@.service").read_text("utf-8")
    guide = (DOCS / "servers.md").read_text("utf-8")

    (home,) = re.findall(r"^WorkingDirectory=(.*)$", unit, re.MULTILINE)
    (program,) = re.findall(r"^ExecStart=(.*)/.venv/bin/deepcredit", unit, re.MULTILINE)
    assert f"`{home}/deepcredit.toml`" in guide
    assert (
        f"--create-home --home-dir {home} deepcredit" in guide
    )  # for keys, and the cluster's folder
    assert f"make -C {program} setup" in guide


def test_what_the_table_of_hosts_names_was_made_by_the_commands_above_it() -> None:
    made, table = (DOCS / "cluster.md").read_text("utf-8").split("## The table")
    (key,) = re.findall(r'key_file = "~/(.*)"', table)
    (folder,) = re.findall(r'certificates = "(.*)"', table)

    assert f"ssh-keygen -t ed25519 -N '' -f $home/{key}\n" in made
    assert f"{Path(key).name}.pub $home/.ssh/authorized_keys" in made
    assert f"cluster certificates {folder}\n" in made
    addresses = re.findall(r'address = "(\S+)"', table)
    assert f"ssh-keyscan -t ed25519 {' '.join(addresses)} >$home/.ssh/known_hosts" in made


def _leads(page: Path, heading: str) -> bool:
    return page.exists() and (not heading or heading in _anchors(page))


def _anchors(page: Path) -> set[str]:
    """What a link may name of a page: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _row(name: str) -> str:
    """The line, or the section, that describes a table or view."""
    section = rf"^## `{name}`\n[^#]*"
    (row,) = re.findall(rf"^\| `{name}` \|.*$|{section}", TABLES, re.MULTILINE)
    return str(row)


def _names(text: str, column: str) -> bool:
    return f"`{column}`" in text


def _metrics() -> set[str]:
    (paragraph,) = re.findall(r"^Metrics are of class 1.*\Z", TABLES, re.MULTILINE | re.DOTALL)
    return set(re.findall("`([a-z0-9_]+)`", paragraph))
