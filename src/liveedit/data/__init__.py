"""What is learned from and measured on: emoji-edit, annotation files, corrections of users."""
