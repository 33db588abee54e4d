"""The HDF5 shard format: write, read, index."""
