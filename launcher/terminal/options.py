"""The options before the command, as given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """`overrides` are settings by name, stronger than any other source."""

    overrides: Mapping[str, str] = field(default_factory=dict)
    config: Path | None = None

    def words(self) -> list[str]:
        """What says the same on a command line, for a command in a process of its own."""
        words = [f"--set={name}={value}" for name, value in self.overrides.items()]
        return words + ([f"--config={self.config}"] if self.config else [])
