//! A plugin like any other, but that it imports what no plugin is given.

mod bindings {
    #![allow(missing_docs, unsafe_code, clippy::pedantic, unused_qualifications, reason = "generated")]
    wit_bindgen::generate!({
        path: "../../../wit/0.1.0",
        inline: r"
            package test:asks;
            interface network { dial: func(to: string) -> bool; }
            world asks {
                include tracemill:plugin/span-processor@0.1.0;
                import network;
            }
        ",
        world: "test:asks/asks",
        generate_all,
    });
}

use bindings::exports::tracemill::plugin::processor::{Column, Edit, Guest, Plan};

struct Asks;

impl Guest for Asks {
    fn configure(settings: String) -> Result<Plan, String> {
        Err(if bindings::test::asks::network::dial(&settings) { "connected" } else { "not connected" }.to_owned())
    }

    fn process(_: u32, _: Vec<Column>) -> Result<Vec<Edit>, String> {
        Ok(Vec::new())
    }
}

/// What the host calls.
mod exported {
    #![allow(unsafe_code, reason = "generated; the contract's ABI needs it")]
    use super::{Asks, bindings};

    bindings::export!(Asks with_types_in bindings);
}
