"""A folder of storyboards: which there are, what has changed, and who renders each."""
