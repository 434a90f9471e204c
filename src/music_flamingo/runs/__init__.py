"""A run: its folder, its workspace, a step of it in a Kubeflow pipeline, and the page that it ends with."""
