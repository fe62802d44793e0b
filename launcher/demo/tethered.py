"""`python -m launcher.demo.tethered WORDS` is `deepcredit WORDS` in a process that is told to
stop when its stdin ends, as it does when whoever started it is killed.
"""

import os
import signal
import threading
import time

from launcher.cli import main

_PAUSE_SECONDS = 1.0  # or two signals would be heard as one


def stop_at_eof() -> None:
    """Stop as if told twice: a launcher then gives back at once what it runs."""
    while os.read(0, 4096):
        pass
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    threading.Thread(target=stop_at_eof, daemon=True).start()
    main()
