"""`pocket`: a whole TPoS small enough to ship with the program."""
