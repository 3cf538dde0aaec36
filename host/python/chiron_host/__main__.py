"""Entry: ``pythonX chiron_host/__main__.py`` with the control socket as fd 3.

With the argument ``template`` fd 3 is a listening socket, and the process forks
zygotes for those who connect.
"""

import os
import sys

# Run as a file, Python puts this file's folder first on sys.path, where our
# modules' names could hide others: the folder above is what we mean, and only
# for the imports below.
_program = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if sys.path and os.path.abspath(sys.path[0]) == os.path.join(_program, "chiron_host"):
    sys.path.pop(0)
sys.path.insert(0, _program)
from chiron_host import zygote  # noqa: E402

sys.path.remove(_program)

if __name__ == "__main__":
    if sys.argv[1:] == ["template"]:
        from chiron_host import template

        template.main(3)
    zygote.main(3)
