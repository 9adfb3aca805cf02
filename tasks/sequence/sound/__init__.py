"""The film's sound: laid in its places, mixed, brought to its loudness, coded once.

soundtrack    which sounds are heard when; made as far as it can be while clips are still being generated
mix           layers of sound, each with its place, gain and fades, summed to one
duck          music that goes down while something else is heard
master        one gain for the film, peaks kept under the ceiling, measured as it will be heard
gain          by how much a sound is raised, so that it is as loud as wanted
limiter       how loud a sound may be made at each moment
loudness      what the meter says of a span: EBU R128, true peaks
cells         peaks and weighted energy of 128 samples
coder         the mastered sound, coded span by span; what was coded already is taken as it is
kept          what was worked out, under all that decides about it
aac           one span coded; spans put together without a seam
spans         where spans lie, and the cores that work on them side by side
decode        clips and sound files to samples, by their timestamps
"""
