"""Clips into a film: conform, join, sound, and the film's own check."""
