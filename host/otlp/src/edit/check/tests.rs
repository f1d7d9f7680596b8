//! Each line of the contract that fails a call.
