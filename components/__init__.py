"""One folder a component: the stage as Kubeflow Pipelines sees it."""
