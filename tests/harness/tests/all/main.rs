//! The ends of the system tests without the proxy between them: when these fail, the proxy is not to blame.

mod load;
mod real_ends;
