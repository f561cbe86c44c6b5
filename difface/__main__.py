"""`python -m difface`."""

import sys

from difface.cli import main

sys.exit(main())
