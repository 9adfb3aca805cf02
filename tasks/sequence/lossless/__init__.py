"""Clips joined without encoding them again, but for the few frames before a seam.

preflight     why clips cannot be joined so
pieces        what the film takes of a clip: made as soon as both clips of a seam exist, and kept
fitted        a card, coded so that it goes with the clips
joined        the film's pictures, copied together and checked
cutting       which packets can be copied, by their order alone
coded         what a clip is as it is coded, read without decoding it
avcc, x264    what decoders are told before the first frame; what made a clip
tail          the frames before a seam, encoded again
"""
