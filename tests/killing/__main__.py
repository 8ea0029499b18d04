"""`python tests/killing` is `./dev kill-test`."""

import sys

from kills import main

sys.exit(main())
