"""The show's picture as each output sees it: at its own size, with what is that output's alone."""
