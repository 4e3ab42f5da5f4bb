"""Lost content.

``moved`` what only lies elsewhere now; ``followed`` under which name; ``topics`` what is gone together; ``gate`` the gate.
"""
