"""The wire: everything that knows how Runware speaks."""
