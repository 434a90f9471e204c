"""Audio: bounded decoding, resampling, windows, loudness, fingerprints."""
