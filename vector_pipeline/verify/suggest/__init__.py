"""Canaries that are proposed, for a person to accept.

``suggest`` the whole; ``log`` and ``frequent`` from a log of queries; ``documents`` from the documents; ``suggestion`` one of them;
``file`` what a person edits.
"""
