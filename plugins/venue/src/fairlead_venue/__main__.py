"""`python -m fairlead_venue`."""

import sys

from fairlead_venue.verbs import main

sys.exit(main())
