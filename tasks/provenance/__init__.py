"""What made a film, said in the film itself: marked in its XMP, signed as content credentials, and read back."""
