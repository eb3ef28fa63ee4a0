"""`python -m vidcolor.cli`."""

from vidcolor.cli import main

raise SystemExit(main())
