"""How pages are bound to the code: source, cells, notebooks, mathematics."""
