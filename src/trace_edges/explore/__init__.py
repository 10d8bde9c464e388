"""A page on this computer to look at edges, attention and instances, and to correct instances."""
