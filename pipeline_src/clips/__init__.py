"""Where clips come from: sources, plan, fetch, decode."""
