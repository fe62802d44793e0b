"""Metrics, by the names of their columns in the database; docs/tables.md says what each is.

Columns of tables and views follow these, and what parameters may name.
"""

from typing import Literal, get_args

VoteMetric = Literal[
    "accuracy",
    "precision_score",
    "recall_score",
    "specificity",
    "f1_score",
    "balanced_accuracy",
    "mcc",
]
"""One that a decision has by itself, without scores. Larger is better."""

VOTE_METRICS: tuple[VoteMetric, ...] = get_args(VoteMetric)

METRICS = (*VOTE_METRICS, "auc", "gini", "ks", "pr_auc", "brier", "log_loss")

LOWER_IS_BETTER = ("brier", "log_loss")

COUNTS = ("tn", "fp", "fn", "tp")
