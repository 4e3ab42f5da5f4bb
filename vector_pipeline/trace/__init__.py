"""Where answers came from, and how a document goes for good."""
