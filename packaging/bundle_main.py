"""What the bundle runs: the same entry as the command that pip installs."""

import sys

from inspector_app.__main__ import main

sys.exit(main())
