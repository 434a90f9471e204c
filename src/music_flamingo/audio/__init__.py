"""Sound itself: decoding with caps, resampling, windows, loudness, fingerprints."""
