"""Bridges: queries of a new model, mapped to the space that production is still in.

``fit`` makes maps from texts that both models embedded, ``measure`` says how much of the old model's answers they keep, ``map`` is
what is kept of one, ``crossing`` decides which embedder embeds a query.
"""
