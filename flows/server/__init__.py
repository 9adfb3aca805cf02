"""The Prefect server: a private one for a command, one on this machine for its UI, and what all machines share."""
