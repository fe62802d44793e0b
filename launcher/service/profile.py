"""What a launcher is to the database: its name, its host, and what it takes."""

from dataclasses import dataclass, field

from launcher.host.machine import Host, this_host


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`slots`: batches at once. `queues`: those to serve, the most urgent first."""

    server_id: str
    host: Host = field(default_factory=this_host)
    slots: int = 1
    tags: tuple[str, ...] = ()
    queues: tuple[str, ...] = ("default",)
