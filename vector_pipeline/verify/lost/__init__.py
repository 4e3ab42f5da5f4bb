"""Lost content. ``moved`` what only has another name now; ``topics`` what is gone together; ``gate`` the gate."""
