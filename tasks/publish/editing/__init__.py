"""The film as editors open it: its clips, cuts, dissolves and sounds as a timeline, and the media that it refers to."""
