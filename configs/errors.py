"""The error tree. Whether a batch is tried again is decided by an error's type, never its text."""

from enum import Enum
from typing import ClassVar


class Retry(Enum):
    """What a failed batch does next."""

    NEVER = "never"  # the input is wrong: the same run would fail again
    LATER = "later"  # with backoff: 20 minutes after the first failure, then doubling
    AT_ONCE = "at once"  # a machine or process was lost, not the work's fault


class DeepCreditError(Exception):
    """Something went wrong."""

    retry: ClassVar[Retry] = Retry.NEVER

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


# The operator's to mend.
class BadSetting(DeepCreditError):
    """A setting is unknown or has a value that is not allowed."""


class BadParameter(DeepCreditError):
    """batch_param or model_param is not what the mode or model kind allows."""


class BadData(DeepCreditError):
    """The data set cannot be used as it is."""


class DatasetChanged(BadData):
    """The rows of a data set are no longer those that were registered or trained on."""


class NotFound(DeepCreditError):
    """A batch, data set, model, model group, mode or candidate list does not exist."""


class WrongSchema(DeepCreditError):
    """The tables of the database are not those of this version."""


class WrongState(DeepCreditError):
    """The batch is not in a state that allows this."""


class ParentFailed(DeepCreditError):
    """The batch that this one builds on ended in a final error."""


class AllModelsFailed(DeepCreditError):
    """Not one model of the batch could be trained or applied."""


class ModelFailed(DeepCreditError):
    """One model failed and the batch asks for onModelError = fail."""


class Cancelled(DeepCreditError):
    """An operator cancelled the batch."""


class ArtifactDamaged(DeepCreditError):
    """A file of the model store does not have the SHA-256 that the database names."""


class ArtifactMissing(DeepCreditError):
    """A file that the database names is not in the model store."""


class StoreRefused(DeepCreditError):
    """The model store refused us: password, key, host key or permission."""


class StoreFull(DeepCreditError):
    """The model store has no space left."""


class NotEnoughMemory(DeepCreditError):
    """A task needs more memory than any worker has for it."""


class CardFull(DeepCreditError):
    """A GPU has no memory left."""


class CardUnusable(DeepCreditError):
    """A GPU does not do what it should."""


class DatabaseRefused(DeepCreditError):
    """The database refused us: password, host or privilege."""


# Conditions that pass.
class StoreUnavailable(DeepCreditError):
    """The model store does not answer."""

    retry = Retry.LATER


class DiskFull(DeepCreditError):
    """A local disk has no space left."""

    retry = Retry.LATER


class StoreNotOurs(DeepCreditError):
    """The model store belongs to another database."""

    retry = Retry.LATER


class HostUnfit(DeepCreditError):
    """A host of the cluster cannot work: its settings, its disk or its key to the model store."""

    retry = Retry.LATER
    host = ""
    """The executor's name of it."""


class DatabaseUnavailable(DeepCreditError):
    """The database does not answer."""

    retry = Retry.LATER


class LoginRefused(DatabaseRefused):
    """The database refused our login, as when a password was changed while a launcher runs."""

    retry = Retry.LATER


class ClusterUnavailable(DeepCreditError):
    """The Dask scheduler does not answer or has no workers."""

    retry = Retry.LATER


class ClusterAway(ClusterUnavailable):
    """The Dask cluster could not be used when the batch was to begin; it was given back."""


class StartFailed(DeepCreditError):
    """The host cannot start the process that runs a batch; it was given back."""

    retry = Retry.LATER


class ParentNotReady(DeepCreditError):
    """The batch that this one builds on was set to run again."""

    retry = Retry.LATER


class WorkerLost(DeepCreditError):
    """A Dask worker died while it ran a task."""

    retry = Retry.AT_ONCE


class ChildLost(DeepCreditError):
    """The process that ran the batch died."""

    retry = Retry.AT_ONCE


class Stuck(DeepCreditError):
    """The process that ran the batch waited for something that did not come."""

    retry = Retry.LATER


class LeaseExpired(DeepCreditError):
    """The launcher that ran the batch stopped renewing its lease."""

    retry = Retry.AT_ONCE


# Control flow: no failure of the batch, so no member of the tree above.
class LeaseLost(Exception):
    """The batch is no longer ours: another run, an operator or a sweep took it. Publish nothing."""


def retry_of(error: BaseException) -> Retry:
    """Errors we do not know are code failures: tried again, later."""
    return error.retry if isinstance(error, DeepCreditError) else Retry.LATER
