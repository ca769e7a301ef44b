"""The show from afar: OSCQuery for control surfaces, and a page for every phone."""
