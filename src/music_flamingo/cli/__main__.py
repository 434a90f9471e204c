"""python -m music_flamingo.cli"""

import sys

from music_flamingo.cli import main

sys.exit(main())
