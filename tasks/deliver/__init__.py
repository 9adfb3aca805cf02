"""A finished film as other files: other codecs, containers and shapes, each decoded and counted."""
