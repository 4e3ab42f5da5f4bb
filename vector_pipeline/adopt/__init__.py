"""Taking over an index that grew by hand."""
