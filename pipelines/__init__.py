"""The three Kubeflow pipelines: annotation, training, and music_flamingo, which chains them to a release."""
