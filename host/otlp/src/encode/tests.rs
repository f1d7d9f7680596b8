//! What leaves, byte for byte.
