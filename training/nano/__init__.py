"""How the nano weights are made: see ../README.md."""
