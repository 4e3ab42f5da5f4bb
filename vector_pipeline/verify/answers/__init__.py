"""Answers of the candidate beside production's, without labels.

``gate`` the gate; ``changes`` what became of documents; ``replay`` the questions on both sides, by exact search and
on the indexes; ``numbers`` what is counted of them; ``telling`` what is said.
"""
