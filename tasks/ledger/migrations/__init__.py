"""How older ledgers become current ones. Each revision stands on its own and never changes once released."""
