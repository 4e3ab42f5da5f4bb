"""Retrieval measures. ``judgements`` reads what is judged relevant; ``names`` under which name it is looked for;
``telling`` what is said; ``gate`` the gate."""
