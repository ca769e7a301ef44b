"""`python -m engine.cli`, as `accelerate launch` starts it."""

from engine.cli import main

main()
