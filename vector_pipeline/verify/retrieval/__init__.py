"""Retrieval measures. ``judgements`` reads what is judged relevant; ``telling`` what is said; ``gate`` the gate."""
