"""Studies whose workers and storages fail: storages as they are deployed, workers that die, and what is left."""
