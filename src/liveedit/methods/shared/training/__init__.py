"""Methods of which something is trained beforehand."""
