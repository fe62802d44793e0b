"""A launcher's one look at the model store when it starts, which another process has for it."""

import json
import subprocess

import structlog

from configs import errors
from configs.errors import ChildLost, DeepCreditError
from configs.settings import Settings, without_secrets
from launcher.host import python
from pipeline.messages import Failed, Finished, Malformed, decode

_LOOK = python.program("launcher.service.store_main")
_PATIENCE_SECONDS = 60.0  # a network disk that is dead keeps who asks it for ever

log = structlog.get_logger(__name__)


def ask(settings: Settings) -> None:
    """Say in the log whose the store is, or that nobody can tell yet.

    Each batch looks, too; but a launcher with another's store, or with a disk that is not mounted,
    would fail them all.

    Raises:
        StoreNotOurs: the model store is another database's.
        StoreUnavailable: it is empty, and should not be.
        ChildLost: the process that was to look at it died.
    """
    # Not to be waited for: what does not answer now may do so when a batch needs it.
    hurried = settings.model_copy(update={"store_patience_seconds": 0})
    try:
        looked = subprocess.run(
            _LOOK,
            input=json.dumps(without_secrets(hurried)).encode() + b"\n",
            stdout=subprocess.PIPE,
            env=python.environment(),
            start_new_session=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        why = f"no answer in {_PATIENCE_SECONDS:.0f} s, from it or from the database"
        log.warning("cannot tell yet whose the model store is", error=why)
        return
    try:
        told = decode(looked.stdout)
    except Malformed:
        raise ChildLost(
            f"the process that was to look at the model store ended with exit code "
            f"{looked.returncode}; what it printed says why"
        ) from None
    match told, looked.returncode:
        case Finished(whose), _:
            log.info("model store", whose=whose)
        case Failed(error_text=why), 0:
            log.warning("cannot tell yet whose the model store is", error=why)
        case Failed(error_class, why), _:
            raise getattr(errors, error_class, DeepCreditError)(why)
