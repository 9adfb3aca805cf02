"""Stage 2: a storyboard and the catalog of models become a `Plan`: what to generate, in what order, at what price.

`build.build_plan` plans; it is pure, so facts about the inputs go in and nothing is read or sent. What comes out is
in `model`. What a model accepts and costs is data (`catalog`), whether a shot may have its inputs is decided in
`modes`, what neighbours share in `boundaries`, what a shot is made of and how long it is in `measure`, when two clips
are the same in `keys`.
"""
