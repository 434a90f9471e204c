"""The site: what a run took in and gave, in pages that open from disk. Templates draw; modules here only compute."""
