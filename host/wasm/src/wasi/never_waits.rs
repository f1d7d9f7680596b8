//! The parts of WASI that could wait, made so that they never do.
//!
//! The streams that a guest can have are its captured outputs and a closed stdin: all are ready at once. Clocks can be
//! subscribed to, and then are ready at once too: a guest that sleeps wakes early and meets its deadline.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::io::streams::{HostInputStream as Input, HostOutputStream as Output};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddressFamily};
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::p2::bindings::sync::sockets::udp_create_socket;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, SocketError, SocketResult, StreamError, StreamResult, UdpSocket,
};

/// Streams and pollables of one instance.
pub(super) struct NeverWaits<'a>(pub(super) &'a mut ResourceTable);

/// The answer to a request for a socket.
pub(super) struct Denied;

/// Runs what ought to be ready.
fn at_once<T>(work: impl Future<Output = T>) -> wasmtime::Result<T> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => Err(wasmtime::format_err!("a plugin cannot wait for input or output")),
    }
}

fn stream<T>(work: impl Future<Output = StreamResult<T>>) -> StreamResult<T> {
    at_once(work).map_err(StreamError::Trap)?
}

impl poll::Host for NeverWaits<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        if pollables.is_empty() {
            return Err(wasmtime::format_err!("an empty list was polled"));
        }
        Ok((0..pollables.len() as u32).collect())
    }
}

impl poll::HostPollable for NeverWaits<'_> {
    fn ready(&mut self, _: Resource<DynPollable>) -> wasmtime::Result<bool> {
        Ok(true)
    }

    fn block(&mut self, _: Resource<DynPollable>) -> wasmtime::Result<()> {
        Ok(())
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.0, pollable)
    }
}

impl streams::Host for NeverWaits<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<streams::StreamError> {
        streams::Host::convert_stream_error(self.0, error)
    }
}

impl streams::HostOutputStream for NeverWaits<'_> {
    fn check_write(&mut self, to: Resource<DynOutputStream>) -> StreamResult<u64> {
        Output::check_write(self.0, to)
    }

    fn write(&mut self, to: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        Output::write(self.0, to, bytes)
    }

    fn blocking_write_and_flush(&mut self, to: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        stream(Output::blocking_write_and_flush(self.0, to, bytes))
    }

    fn blocking_write_zeroes_and_flush(&mut self, to: Resource<DynOutputStream>, length: u64) -> StreamResult<()> {
        stream(Output::blocking_write_zeroes_and_flush(self.0, to, length))
    }

    fn subscribe(&mut self, to: Resource<DynOutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        Output::subscribe(self.0, to)
    }

    fn write_zeroes(&mut self, to: Resource<DynOutputStream>, length: u64) -> StreamResult<()> {
        Output::write_zeroes(self.0, to, length)
    }

    fn flush(&mut self, to: Resource<DynOutputStream>) -> StreamResult<()> {
        Output::flush(self.0, to)
    }

    fn blocking_flush(&mut self, to: Resource<DynOutputStream>) -> StreamResult<()> {
        stream(Output::blocking_flush(self.0, to))
    }

    fn splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<u64> {
        Output::splice(self.0, to, from, length)
    }

    fn blocking_splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<u64> {
        stream(Output::blocking_splice(self.0, to, from, length))
    }

    fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        at_once(Output::drop(self.0, stream))?
    }
}

impl streams::HostInputStream for NeverWaits<'_> {
    fn read(&mut self, from: Resource<DynInputStream>, length: u64) -> StreamResult<Vec<u8>> {
        Input::read(self.0, from, length)
    }

    fn blocking_read(&mut self, from: Resource<DynInputStream>, length: u64) -> StreamResult<Vec<u8>> {
        stream(Input::blocking_read(self.0, from, length))
    }

    fn skip(&mut self, from: Resource<DynInputStream>, length: u64) -> StreamResult<u64> {
        Input::skip(self.0, from, length)
    }

    fn blocking_skip(&mut self, from: Resource<DynInputStream>, length: u64) -> StreamResult<u64> {
        stream(Input::blocking_skip(self.0, from, length))
    }

    fn subscribe(&mut self, from: Resource<DynInputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        Input::subscribe(self.0, from)
    }

    fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        at_once(Input::drop(self.0, stream))?
    }
}

impl network::Host for Denied {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(&mut self, _: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}

impl network::HostNetwork for Denied {
    fn drop(&mut self, _: Resource<network::Network>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl udp_create_socket::Host for Denied {
    fn create_udp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        Err(ErrorCode::AccessDenied.into())
    }
}
