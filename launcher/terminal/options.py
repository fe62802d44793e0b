"""The options before the command, as given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

NAMED = ("database_url", "store_url", "scheduler", "workers", "log_dir")
"""Settings with an option of their own."""


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """`overrides` are settings by name, stronger than any other source."""

    overrides: Mapping[str, str] = field(default_factory=dict)
    config: Path | None = None

    def words(self) -> list[str]:
        """The options again, for a command in a process of its own."""
        words = [
            f"--{name.replace('_', '-')}={value}" if name in NAMED else f"--set={name}={value}"
            for name, value in self.overrides.items()
        ]
        return words + ([f"--config={self.config}"] if self.config else [])
