"""Where a process of ours begins: `python -m launcher.host.program MODULE WORDS` runs MODULE's
`main`. What it imports stays for its whole life: to look for garbage in that, at its end once more,
takes a fourth of the time in which it starts. Workers of a process that begins here import no more
than they need: Python has each of them import again what their parent began with.
"""

import gc
import sys

from configs import plugins


def main() -> None:
    del sys.argv[0]
    module = plugins.load(sys.argv[0])
    gc.freeze()
    code = module.main()
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
