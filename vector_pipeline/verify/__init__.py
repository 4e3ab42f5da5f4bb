"""Gates: what must hold before an alias moves. They take Arrow tables and callables; who owns the data wires them."""
