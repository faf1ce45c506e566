"""Methods that change the weights of linear modules, without touching them."""
