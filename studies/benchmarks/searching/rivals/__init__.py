"""Rivals of the sampler: what a good engineer, or another method that knows memory, would evaluate next.

Each is a generator, a module of its own: it yields the parameters of a trial and is sent the accuracy that was
measured. None of them ends, and none yields a configuration twice while there are others.
"""
