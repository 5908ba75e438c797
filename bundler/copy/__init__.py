"""One engine for everything that moves: resolve, plan, execute."""
