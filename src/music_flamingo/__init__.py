"""Music Flamingo on Kubeflow: from a catalogue of songs to a model that reasons about music."""

__version__ = "0.2.0"
