"""Making what a configuration names: a plan first, then each thing through its own SDK. Imports nothing by itself."""
