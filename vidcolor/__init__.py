"""vidcolor: a black-and-white video in, the same video in color out."""
