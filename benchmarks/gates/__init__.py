"""Do the gates stop what is broken and let through what is not? Seeded failures and harmless releases on real collections.

``python -m benchmarks.gates`` (``make bench-gates``) ends with one JSON line: ``seeded``, ``seeded_stopped``, ``harmless``,
``harmless_stopped``. ``--write`` puts the table of what caught what into ``docs/gates.md``.
"""
