"""Where `deepcredit` begins, as does `python -m launcher`: a Ctrl-C while the rest is imported ends
it without a traceback. What is imported stays, so nobody looks for garbage in it until the command
is there: that would take a tenth of a short command's time.
"""

import gc
import sys

gc.disable()
try:
    from launcher.cli import main
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":
    main()
