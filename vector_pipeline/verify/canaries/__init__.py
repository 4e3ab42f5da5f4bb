"""Canaries: questions that must not break.

``entry`` and ``file`` read them; ``check`` judges one; ``search`` asks; ``verdicts`` and ``change`` say what all of them amount to,
alone and beside production; ``names`` finds expected documents that do not exist; ``shown`` is for reports; ``gate`` the gate.
"""
