"""Text damage.

``signs`` what damaged text looks like; ``texts`` passages and ``documents`` documents
that are worse than production's; ``gate`` the gate.
"""
