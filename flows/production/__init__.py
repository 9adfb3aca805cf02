"""One run: what it works with, its gate, its shots, and the film that is published."""
