"""The images that problems learn from: built-in ones drawn from fonts, and the originals; both in the same files."""
