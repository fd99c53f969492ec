"""Several processes for one proxy: a parent that decides nothing, and workers that do."""
