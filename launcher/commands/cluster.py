"""A Dask cluster on the hosts of deepcredit.toml, over SSH."""

from pathlib import Path
from typing import Annotated

import typer

from configs.cluster import Cluster
from configs.errors import BadSetting
from launcher.cluster import certificates as making
from launcher.cluster import deploy, discovery, scaling
from launcher.cluster.look import Picture, Worker, has_pages, look
from launcher.service import clusters
from launcher.terminal.console import Column, progress, show
from launcher.terminal.exports import Format, FormatOption, export
from launcher.terminal.folder import example, new_app
from launcher.terminal.lines import say, warn
from launcher.terminal.session import session

app = new_app()

_MIB = 2**20
_COLUMNS = (
    Column("worker", "worker", text=True),
    Column("host", "host", text=True),
    Column("threads", "threads", wide=True),
    Column("memory_mb", "memory MB", wide=True),
    Column("memory_limit_mb", "limit MB", wide=True),
    Column("running", "running"),
    Column("waiting", "waiting", wide=True),
    Column("gpus", "GPUs"),
    Column("tags", "tags", text=True),
    Column("state", "state", text=True),
)


@app.callback()
def cluster() -> None:
    """A Dask scheduler and workers on the hosts of deepcredit.toml, over SSH."""


@app.command(epilog=example("deepcredit cluster start", "deepcredit cluster start --without two"))
def start(
    ctx: typer.Context,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="Leave out this host, which is down; repeatable."),
    ] = None,
) -> None:
    """Start what does not run yet, and wait for every worker. Safe to repeat.

    Every host must answer, its key be known, and its versions be those here, before anything is
    started. The next start without the option brings in what was left out.
    """
    wanted = _cluster(ctx)
    with progress("cluster") as bar:
        picture = deploy.start(wanted, bar, without or ())
    _show(picture, Format.TABLE)
    _warn(wanted, picture)
    if wanted.certificates is None:
        say("No TLS: whoever can reach these ports can run code as your user; see docs/cluster.md.")
    say(f'For the launchers: scheduler = "{picture.address}"')


@app.command(epilog=example("deepcredit cluster status", "deepcredit cluster status --format json"))
def status(
    ctx: typer.Context,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show scheduler, dashboard and each worker. Exit 1 if the scheduler does not answer.

    Hosts without a worker are named, and why they cannot be reached. Without a table [cluster]: of
    the scheduler that the settings name.
    """
    settings = session(ctx).settings
    if settings.cluster is None and settings.scheduler:
        _show(look(settings.scheduler, clusters.certificates(settings)), form)
        return
    wanted = _cluster(ctx)
    picture = discovery.find(wanted)
    _show(picture, form)
    for line in discovery.left_out(wanted, picture):
        warn(line)
    _warn(wanted, picture)


@app.command(epilog=example("deepcredit cluster scale one=4 two=0"))
def scale(
    ctx: typer.Context,
    wanted: Annotated[
        list[str], typer.Argument(metavar="HOST=N...", help="Workers without a card on a host.")
    ],
) -> None:
    """Change how many workers hosts run. No fit is lost; it holds until the next stop.

    A worker that leaves ends what it runs first; `status` shows it as leaving meanwhile.
    """
    with progress("cluster") as bar:
        picture = scaling.scale(_cluster(ctx), _numbers(wanted), bar)
    _show(picture, Format.TABLE)


@app.command(epilog=example("deepcredit cluster stop"))
def stop(ctx: typer.Context) -> None:
    """End what `start` started, and nothing else, on every host. Running fits are lost."""
    with progress("cluster") as bar:
        deploy.stop(_cluster(ctx), bar)


@app.command(epilog=example("deepcredit cluster certificates /etc/deepcredit/tls"))
def certificates(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
) -> None:
    """Make the certificates that TLS needs, valid for a year.

    They are for launchers, scheduler and workers.

    Name the folder as `certificates` in [cluster]; `start` brings its files to the hosts.
    """
    making.make(folder)
    say(f'made {folder}; set certificates = "{folder.absolute()}" in [cluster], stop and start')


def _numbers(wanted: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in wanted:
        name, _, number = each.rpartition("=")
        if not name or not number.isdecimal():
            raise BadSetting(f"{each!r}: write HOST=N, the name of a host and a number of workers")
        found[name] = int(number)
    return found


def _cluster(ctx: typer.Context) -> Cluster:
    found = session(ctx).settings.cluster
    if found is None:
        raise BadSetting(
            'no hosts are configured; add a table [cluster] with hosts = ["address", ...] to '
            "deepcredit.toml (docs/settings.md lists what it may hold)"
        )
    return found


def _warn(wanted: Cluster, picture: Picture) -> None:
    """Of what somebody should mend before it matters."""
    port = picture.dashboard_port
    if port not in (None, wanted.dashboard_port):
        warn(
            f"dashboard_port {wanted.dashboard_port} was not free, so the dashboard has port "
            f"{port}, from which no firewall may keep others: free that port or name another "
            "one, then `deepcredit cluster stop` and `deepcredit cluster start`"
        )
    for line in making.ending(making.read(wanted.certificates)):
        warn(line)


def _state(worker: Worker) -> str:
    if not worker.answering:
        return "not answering"
    return "leaving" if worker.leaving else "there"


def _show(picture: Picture, form: Format) -> None:
    rows = [
        {
            "worker": worker.name,
            "host": worker.host,
            "threads": worker.threads,
            "memory_mb": worker.memory // _MIB,
            "memory_limit_mb": worker.memory_limit // _MIB or None,
            "running": worker.running,
            "waiting": worker.waiting,
            "gpus": worker.gpus,
            "tags": " ".join(worker.tags) or None,
            "state": _state(worker),
        }
        for worker in picture.workers
    ]
    if form is Format.TABLE:
        dashboard = picture.dashboard if has_pages(picture.dashboard) else "none"
        say(f"scheduler  {picture.address}\ndashboard  {dashboard}\n")
        show(rows, _COLUMNS, empty="the scheduler has no workers")
    else:
        export([column.name for column in _COLUMNS], rows, form)
    for line in picture.differences:
        warn(line)
