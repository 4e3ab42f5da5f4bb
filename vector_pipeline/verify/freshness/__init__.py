"""Source freshness. ``source`` what differs from the source now; ``shards`` which shards are behind; ``gate`` the gate."""
