"""Stage 1: a file that a person wrote becomes a `Storyboard`, or one error that names every mistake in it.

`read.read_storyboard` reads, `inputs.inspect_inputs` looks at the pictures and videos that the shots use, and
`schema.storyboard_schema` tells editors what may be written. What comes out is in `model`.
"""
