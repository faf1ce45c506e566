"""IKE: corrections are told before the question, behind demonstrations of how to use them."""
