"""Exact frames: running ffmpeg, probing, decoding, extracting. Stands under all stages."""
