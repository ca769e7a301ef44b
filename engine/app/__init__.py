"""The program put together: the live show, films, and the commands that look at a machine or a sound."""
