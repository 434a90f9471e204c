"""Training data: samples of a recording, where audio lies, mixture, schedule, packing and collator."""
