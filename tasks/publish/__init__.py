"""Film and sidecars to their storage, each whole or absent, the manifest last."""
