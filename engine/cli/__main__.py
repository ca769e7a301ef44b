"""`python -m engine.cli`, as `accelerate launch` starts it."""

from engine.cli.main import main

main()
