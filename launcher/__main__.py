"""Where `deepcredit` begins, as does `python -m launcher`: a Ctrl-C while the rest is imported ends
it without a traceback.
"""

import sys

try:
    from launcher.cli import main
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":
    main()
