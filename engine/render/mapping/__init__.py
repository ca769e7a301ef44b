"""How an output's picture lies on what it is thrown at: geometry, masks, soft edges, colour."""
