"""One film on many workers: several GPUs of a machine, or many machines."""
