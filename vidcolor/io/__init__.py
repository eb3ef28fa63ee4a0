"""Files in and out: video, pictures, prefetching."""
