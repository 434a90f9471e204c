"""The backbone: speech tasks in the five stages of Audio Flamingo 3."""
