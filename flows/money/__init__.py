"""What a run may spend: its terms, who is asked, what is told of it, and what it lacks where that is not enough."""
