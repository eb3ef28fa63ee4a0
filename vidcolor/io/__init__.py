"""Files in and out: video, pipes, pictures, prefetching."""
