"""The report: a static site about a run. Templates draw; the modules here compute."""
