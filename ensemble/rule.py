"""The rule of an ensemble: how many models vote in how many rounds, and what makes a one."""

from dataclasses import dataclass
from typing import Self

from configs.errors import BadParameter
from configs.wording import counted

ROUNDS = 100_000
"""More rounds than this are refused: the counts of a round's votes are kept in memory."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A row is 1 if at least `final_votes` of `rounds` rounds say 1, and a round says 1 if at
    least `round_votes` of its `members` models do.
    """

    members: int
    rounds: int
    round_votes: int
    final_votes: int

    @classmethod
    def majority(
        cls,
        members: int,
        rounds: int,
        round_votes: int | None = None,
        final_votes: int | None = None,
    ) -> Self:
        """More than half, wherever nothing else is said: 16 of 30 models, 11 of 20 rounds."""
        return cls(
            members=members,
            rounds=rounds,
            round_votes=members // 2 + 1 if round_votes is None else round_votes,
            final_votes=rounds // 2 + 1 if final_votes is None else final_votes,
        )

    def check(self, models: int) -> None:
        """Raise BadParameter, naming the batch's parameter, unless the rule fits `models`."""
        if not 1 <= self.members <= models:
            raise BadParameter(
                f"members is {self.members}; with {counted(models, 'candidate model')} it can be "
                f'1 to {models}: say so in batch_param, as {{"members": {(models + 1) // 2}}}'
            )
        if not 1 <= self.rounds <= ROUNDS:
            raise BadParameter(f"rounds is {self.rounds}; allowed are 1 to {ROUNDS}")
        if not 1 <= self.round_votes <= self.members:
            raise BadParameter(
                f"roundVotes is {self.round_votes}; "
                f"with members = {self.members} it can be 1 to {self.members}"
            )
        if not 1 <= self.final_votes <= self.rounds:
            raise BadParameter(
                f"finalVotes is {self.final_votes}; "
                f"with rounds = {self.rounds} it can be 1 to {self.rounds}"
            )
