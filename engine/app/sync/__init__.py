"""`tpos sync`: how late this machine's pictures are seen, and how late its sound comes back."""
