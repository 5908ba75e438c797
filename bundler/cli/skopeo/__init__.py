"""The voice in which the program answers to the name of Skopeo: the same words in and out."""
