"""photo-edit: corrections about photographs of one's own, from a folder of pictures by class."""
